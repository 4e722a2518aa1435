package image

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"

	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// A hostInput is a file or a tree of the host that the description names, with the digest of what it holds.
type hostInput struct {
	blob    tree.Blob        // of a file
	entries []hosttree.Entry // of a tree: nodes at paths below the target
	digest  string
}

// readHostInputs reads every host file and tree that the description names and pins the contents. What is not there is a problem.
func (r *resolver) readHostInputs(ctx context.Context) (diag.List, error) {
	h := &hostReader{r: r}
	for i, p := range r.d.Partition {
		key := fmt.Sprintf("partition[%d]", i)
		if p.Content != "" {
			h.file(key+".content", p.Content)
		}
		for k, f := range p.File {
			if f.Source != "" {
				h.file(fmt.Sprintf("%s.file[%d].source", key, k), f.Source)
			}
		}
		for k, t := range p.Tree {
			h.tree(fmt.Sprintf("%s.tree[%d].source", key, k), t.Source)
		}
	}
	for i, raw := range r.d.Raw {
		key := fmt.Sprintf("raw[%d].source", i)
		if in := h.file(key, raw.Source); in != nil && in.blob.Size() == 0 {
			h.problems = append(h.problems, r.d.Problem(key, raw.Source+" is empty", ""))
		}
	}
	for key, source := range map[string]string{
		"boot.efi-binary": r.d.Boot.EFIBinary, keySign: r.d.Boot.SignKey, keyCertificate: r.d.Boot.SignCert,
	} {
		if source != "" {
			h.file(key, source)
		}
	}
	return h.problems, h.pinAll(ctx)
}

// hostReader collects host inputs, and the blobs in them that are to be pinned.
type hostReader struct {
	r        *resolver
	problems diag.List
	contents []content
}

// content is what a host input holds, and how to put a blob with its holes in its place.
type content struct {
	blob tree.Blob
	set  func(tree.Blob)
}

func (h *hostReader) file(key, source string) *hostInput {
	b, err := hosttree.File(h.r.path(source))
	if err != nil {
		h.problems = append(h.problems, h.r.d.Problem(key, err.Error(), ""))
		return nil
	}
	in := &hostInput{blob: b}
	h.r.hosts[key] = in
	h.contents = append(h.contents, content{b, func(b tree.Blob) { in.blob = b }})
	return in
}

// tree reads a directory, or an archive when the source is a file.
func (h *hostReader) tree(key, source string) {
	path := h.r.path(source)
	if h.r.in.OutDir != "" && within(path, h.r.in.OutDir) {
		h.problems = append(h.problems, h.r.d.Problem(key, fmt.Sprintf("the image would lie in %s, which is to be copied into it", path),
			"-o elsewhere, or take a directory that holds the tree alone"))
		return
	}
	entries, err := h.read(path)
	if err != nil {
		h.problems = append(h.problems, h.r.d.Problem(key, err.Error(), ""))
		return
	}
	h.r.hosts[key] = &hostInput{entries: entries}
	for _, e := range entries {
		for _, n := range tree.Walk(e.Path, e.Node) {
			if n.Kind() == tree.File {
				h.contents = append(h.contents, content{n.Blob(), n.SetBlob})
			}
		}
	}
}

// within tells whether dir is root or lies below it. What cannot be found is told where it is read.
func within(root, dir string) bool {
	for _, p := range []*string{&root, &dir} {
		real, err := filepath.EvalSymlinks(*p)
		if err != nil {
			return false
		}
		if *p, err = filepath.Abs(real); err != nil {
			return false
		}
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(rel)
}

func (h *hostReader) read(path string) ([]hosttree.Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return hosttree.Tar(path, hosttree.TarOptions{Special: true})
	}
	n, err := h.r.scanner().Read(path + "/.")
	if err != nil {
		return nil, err
	}
	return []hosttree.Entry{{Path: "/", Node: n}}, nil
}

// pinAll hashes all contents, side by side, and finds their holes.
func (h *hostReader) pinAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	sums, blobs := make([]pin, len(h.contents)), make([]tree.Blob, len(h.contents))
	for i, c := range h.contents {
		group.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				sums[i], blobs[i], err = hashBlob(ctx, c.blob)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, c := range h.contents {
		c.set(blobs[i])
		h.r.plan.pins[blobs[i]] = sums[i]
	}
	for _, in := range h.r.hosts {
		if in.digest == "" { // a boot file is pinned after the others
			in.digest = h.digest(in)
		}
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// hashBlob gives the SHA-256 of a blob's content, and the blob with its holes, which follow from the content: a file is as sparse in
// every image, whether the host's file system keeps it so or not.
func hashBlob(ctx context.Context, b tree.Blob) (pin, tree.Blob, error) {
	r, err := b.Open()
	if err != nil {
		return pin{}, nil, err
	}
	defer r.Close()
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	sum, holes := sha256.New(), holes{}
	from := interruptible{ctx, io.NewSectionReader(r, 0, b.Size())}
	if _, err := io.CopyBuffer(onlyWriter{io.MultiWriter(sum, &holes)}, onlyReader{from}, buf[:]); err != nil {
		return pin{}, nil, err
	}
	return pin(sum.Sum(nil)), holes.blob(b), nil
}

// onlyWriter keeps io.CopyBuffer from looking for other ways than the buffer.
type onlyWriter struct{ io.Writer }

type onlyReader struct{ io.Reader }

// digest stands for a host input in the identity of the image: a digest of names, attributes and contents.
func (h *hostReader) digest(in *hostInput) string {
	if in.blob != nil {
		sum := h.r.plan.pins[in.blob]
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	d := treeDigest{sha256.New()}
	for _, e := range in.entries {
		d.text(e.Path)
		for path, n := range tree.Walk("", e.Node) {
			d.node(path, n)
			if n.Kind() == tree.File {
				sum := h.r.plan.pins[n.Blob()]
				d.Write(sum[:])
			}
		}
	}
	return "tree:" + hex.EncodeToString(d.Sum(nil))
}

// treeDigest hashes the fields of nodes, each with its length where that is open.
type treeDigest struct{ hash.Hash }

func (d treeDigest) text(s string) {
	d.number(uint64(len(s)))
	io.WriteString(d, s)
}

func (d treeDigest) number(n uint64) { d.Write(binary.LittleEndian.AppendUint64(nil, n)) }

// node hashes what a node is; a further name of a file by what that file is.
func (d treeDigest) node(path string, n *tree.Node) {
	d.text(path)
	d.number(uint64(n.Kind()))
	n = n.Inode()
	d.text(n.Target())
	d.number(uint64(n.Device().Major)<<32 | uint64(n.Device().Minor))
	if a := n.Attr; a != nil {
		for _, v := range []uint64{uint64(a.Mode), uint64(a.UID), uint64(a.GID), uint64(a.Mtime.Sec), uint64(a.Mtime.Nsec)} {
			d.number(v)
		}
		for _, x := range a.Xattrs {
			d.text(x.Name)
			d.text(string(x.Value))
		}
	}
}
