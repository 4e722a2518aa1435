package resolve

import (
	"context"
	"sync"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/partition"

	"golang.org/x/sync/errgroup"
)

// A host is a file or tree on the host that the description names, with a digest of its content.
type host struct {
	blob    tree.Blob        // of a file, pinned
	entries []hosttree.Entry // of a tree: nodes at paths below the target
	isDir   bool             // a directory and not an archive: the attributes of its top do not count
	digest  string

	mentions []mention // store paths found in small files
}

// hosts maps the keys of the description to what they name on the host.
type hosts map[diag.Key]*host

// A hostReader reads host files and trees, and pins their contents.
type hostReader struct {
	world
	hosts    hosts
	problems diag.List
	contents []hostContent
}

// A hostContent is a content to pin. set replaces it by the pinned one.
type hostContent struct {
	blob tree.Blob
	set  func(tree.Blob)
	in   *host
	path string // in a tree, else ""
}

func newHostReader(w world) *hostReader { return &hostReader{world: w, hosts: hosts{}} }

// all reads every host file and tree that the description names, and pins the contents, unless there is a problem already.
// Boot files are found later: only the closures tell which of them are on the host.
func (h *hostReader) all(ctx context.Context) error {
	d := h.d
	for _, p := range d.Partition.Items {
		h.fileIf(p.Content)
		for _, f := range p.File.Items {
			if in := h.fileIf(f.Source); in != nil {
				h.fits(f.Source.Key, partition.Named(p.Filesystem.V), f.Path.V, in.blob.Size())
			}
		}
		for _, t := range p.Tree.Items {
			h.tree(sourceOf(p, t))
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
	if len(h.problems) > 0 {
		return nil
	}
	if err := h.pin(ctx); err != nil {
		return err
	}
	return h.checkBytes()
}

// fileIf reads the file that a key names, if there is such a key.
func (h *hostReader) fileIf(name description.Text) *host {
	if name.V == "" {
		return nil
	}
	return h.file(name.Key, name.V)
}

// file opens a file; a missing one is a problem at the key.
func (h *hostReader) file(key diag.Key, source string) *host {
	b, err := hosttree.File(h.path(source))
	if err != nil {
		h.problems = append(h.problems, key.ProblemOf(err))
		return nil
	}
	in := &host{blob: b}
	h.hosts[key] = in
	h.contents = append(h.contents, hostContent{b, func(b tree.Blob) { in.blob = b }, in, ""})
	return in
}

// pin reads and hashes all contents in parallel, and then computes the digests of what was read.
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

// one reads and pins a host file or tree that turned out to be needed later than the others; read is a method of [hostReader].
func (w world) one(ctx context.Context, known hosts, problems *diag.List, key diag.Key, read func(*hostReader) *host) *host {
	h := newHostReader(w)
	in := read(h)
	*problems = append(*problems, h.problems...)
	if in == nil {
		return nil
	}
	if err := h.pin(ctx); err != nil {
		*problems = append(*problems, key.ProblemOf(err))
		return nil
	}
	known[key] = in
	return in
}

var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// pin reads a blob and returns it with its pin and its holes. Holes follow from the content, so that a file is equally sparse
// in every image, whatever the host's file system makes of it. What is read is also written to more.
func pin(ctx context.Context, b tree.Blob, more ...tree.ZeroWriter) (tree.Blob, error) {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	p := tree.NewPinner()
	if err := tree.Copy(ctx, tree.Tee(append(more, p)...), b, buf[:]); err != nil {
		return nil, err
	}
	return p.Blob(b), nil
}
