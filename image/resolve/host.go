package resolve

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// A host is a file or a tree of the host that a key of the description names, with the digest of what it holds.
type host struct {
	blob    tree.Blob        // of a file, pinned
	entries []hosttree.Entry // of a tree: nodes at paths below the target
	digest  string

	mentions []mention // of store items, in small files
}

// hosts are all of them, by the key that names each.
type hosts map[diag.Key]*host

// A hostReader reads host files and trees, and pins the blobs in them.
type hostReader struct {
	world
	hosts    hosts
	problems diag.List
	contents []hostContent
}

// hostContent is a blob of the host, and how to put the pinned one in its stead.
type hostContent struct {
	blob tree.Blob
	set  func(tree.Blob)
	in   *host
	path string // in a tree, else ""
}

func newHostReader(w world) *hostReader { return &hostReader{world: w, hosts: hosts{}} }

// all reads every host file and tree that the description names, and pins the contents. Boot files are not among them: whether one is
// the host's is known only with the closures.
func (h *hostReader) all(ctx context.Context) error {
	d := h.d
	for _, p := range d.Partition.Items {
		h.fileIf(p.Content)
		for _, f := range p.File.Items {
			h.fileIf(f.Source)
		}
		for _, t := range p.Tree.Items {
			h.tree(t.Source.Key, t.Source.V)
		}
	}
	for _, raw := range d.Raw.Items {
		if in := h.file(raw.Source.Key, raw.Source.V); in != nil && in.blob.Size() == 0 {
			h.problems = append(h.problems, raw.Source.Key.Problem(raw.Source.V+" is empty", ""))
		}
	}
	h.fileIf(d.Boot.EFIBinary)
	h.fileIf(d.Boot.SignKey)
	h.fileIf(d.Boot.SignCert)
	if err := h.pin(ctx); err != nil {
		return err
	}
	return h.checkBytes()
}

// fileIf reads the file that a key names, if it was written.
func (h *hostReader) fileIf(name description.Text) {
	if name.V != "" {
		h.file(name.Key, name.V)
	}
}

// file looks a file up; one that is not there is a problem of the key.
func (h *hostReader) file(key diag.Key, source string) *host {
	b, err := hosttree.File(h.path(source))
	if err != nil {
		h.problems = append(h.problems, key.Problem(err.Error(), ""))
		return nil
	}
	in := &host{blob: b}
	h.hosts[key] = in
	h.contents = append(h.contents, hostContent{b, func(b tree.Blob) { in.blob = b }, in, ""})
	return in
}

// tree reads a directory, or an archive when the source is a file.
func (h *hostReader) tree(key diag.Key, source string) *host {
	path := h.path(source)
	if h.in.OutDir != "" && within(path, h.in.OutDir) {
		h.problems = append(h.problems, key.Problem(fmt.Sprintf("the image would lie in %s, which is to be copied into it", path),
			"-o elsewhere, or take a directory that holds the tree alone"))
		return nil
	}
	entries, err := h.readTree(path)
	if err != nil {
		h.problems = append(h.problems, key.Problem(err.Error(), ""))
		return nil
	}
	in := &host{entries: entries}
	h.hosts[key] = in
	for _, e := range entries {
		for path, n := range tree.Walk(e.Path, e.Node) {
			if n.Kind() == tree.File {
				h.contents = append(h.contents, hostContent{n.Blob(), n.SetBlob, in, path})
			}
		}
	}
	return in
}

// within reports whether dir is root or lies below it. What cannot be found is reported where it is read.
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

func (h *hostReader) readTree(path string) ([]hosttree.Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return hosttree.Tar(path, hosttree.TarOptions{Special: true})
	}
	n, err := h.scanner().Read(path + "/.")
	if err != nil {
		return nil, err
	}
	return []hosttree.Entry{{Path: "/", Node: n}}, nil
}

// scanner reads host trees that the description names: permission bits are the host's, owner and time are not.
func (h *hostReader) scanner() *hosttree.Scanner {
	shared := &attrTable{}
	return &hosttree.Scanner{Special: true, Attr: func(found hosttree.Host) *tree.Attr {
		mode := found.Mode
		if found.Kind == tree.Symlink {
			mode = 0o777
		}
		return shared.attr(tree.Attr{Mode: mode, Mtime: tree.Time{Sec: h.epoch}})
	}}
}

// pin hashes all contents, side by side, and finds their holes; then the digests of all that has been read.
func (h *hostReader) pin(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	pinned, texts := make([]tree.Blob, len(h.contents)), make([]smallText, len(h.contents))
	for i, c := range h.contents {
		group.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				pinned[i], err = pin(ctx, c.blob, &texts[i])
			}
			texts[i].mentions = h.flavor.Mentions(texts[i].String())
			texts[i].Reset()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, c := range h.contents {
		c.set(pinned[i])
		for _, item := range texts[i].mentions {
			c.in.mentions = append(c.in.mentions, mention{c.path, item})
		}
	}
	h.contents = nil
	for _, in := range h.hosts {
		in.digest = digestOf(in)
	}
	return nil
}

// one reads and pins a host file or tree that was only found to be needed on the way, by the given one of the methods above.
func (w world) one(ctx context.Context, known hosts, problems *diag.List, key diag.Key, read func(*hostReader) *host) *host {
	h := newHostReader(w)
	in := read(h)
	*problems = append(*problems, h.problems...)
	if in == nil {
		return nil
	}
	if err := h.pin(ctx); err != nil {
		*problems = append(*problems, key.Problem(err.Error(), ""))
		return nil
	}
	known[key] = in
	return in
}

var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// pin reads a blob and returns it with its SHA-256 and its holes, which follow from the content: a file is as sparse in every image,
// whether the host's file system keeps it so or not. What it reads is also written to more.
func pin(ctx context.Context, b tree.Blob, more ...io.Writer) (tree.Blob, error) {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	sum, holes := sha256.New(), holes{}
	if err := tree.Copy(ctx, io.MultiWriter(append(more, sum, &holes)...), b, buf[:]); err != nil {
		return nil, err
	}
	return tree.Pinned(holes.blob(b), tree.Pin(sum.Sum(nil))), nil
}
