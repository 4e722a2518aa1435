package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"imprint/closure/nar"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
	"imprint/partition/erofs"
	"imprint/partition/squashfs"
)

// An innerWriter takes the nodes of a tree in its order.
type innerWriter interface {
	Add(path string, n *tree.Node, content func(io.Writer) error) error
	Close() error
}

// writeInner makes a file system that becomes a file of the ISO. Contents are read once, and hashed as they pass.
func (p *Plan) writeInner(ctx context.Context, part *Partition, file *os.File, verify bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := p.innerWriter(ctx, part, file)
	if err != nil {
		return err
	}
	f := feed{ctx: ctx, plan: p, out: out, verify: verify, buf: make([]byte, 256<<10)}
	if err := f.all(part); err != nil {
		cancel()
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	b, err := hosttree.File(file.Name())
	if err != nil {
		return err
	}
	for n := range p.isoTree().Nodes() {
		if inner, ok := n.Blob().(*innerImage); ok && inner.partition == part {
			inner.Blob = b
		}
	}
	return nil
}

func (p *Plan) innerWriter(ctx context.Context, part *Partition, file *os.File) (innerWriter, error) {
	if part.Spec.Filesystem == filesystemSquash {
		return squashfs.Create(ctx, file.Name(), part.Spec.Tree.Root().Attr, p.Epoch)
	}
	return erofs.Create(interruptibleWriter{ctx, file}, part.Spec.Scratch, p.Epoch)
}

// An interruptibleWriter writes until ctx ends.
type interruptibleWriter struct {
	ctx context.Context
	io.WriteSeeker
}

func (w interruptibleWriter) Write(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.WriteSeeker.Write(p)
}

// isoTree is the tree of the ISO.
func (p *Plan) isoTree() *tree.Tree {
	for _, part := range p.Partitions {
		if part.Spec.Filesystem == filesystemISO {
			return part.Spec.Tree
		}
	}
	return nil
}

// A feed gives all nodes of a tree to a writer, in the order of the tree. That of a NAR is the same, so that an item is hashed on the way.
type feed struct {
	ctx    context.Context
	plan   *Plan
	out    innerWriter
	verify bool
	buf    []byte
	paths  []string // by node ID
	nodes  []*tree.Node
	next   int // ID of the next node
}

func (f *feed) all(part *Partition) error {
	items := make(map[*tree.Node]*Item, len(part.Items))
	for _, item := range part.Items {
		items[item.Node] = item
	}
	for path, n := range part.Spec.Tree.Walk() {
		f.paths, f.nodes = append(f.paths, path), append(f.nodes, n)
	}
	for f.next < len(f.nodes) {
		n := f.nodes[f.next]
		var err error
		if item := items[n]; item != nil && f.verify {
			err = f.item(item)
		} else {
			err = f.one(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// item gives an item and compares its NAR hash.
func (f *feed) item(item *Item) error {
	h := sha256.New()
	err := nar.Write(h, item.Node, func(w io.Writer, n *tree.Node) error {
		if err := f.until(n.ID()); err != nil {
			return err
		}
		return f.file(n, w)
	})
	if err != nil {
		return fmt.Errorf("%v: %w", item.Info.Path, err)
	}
	if got := nar.Digest(h.Sum(nil)); got != item.Info.NARHash {
		return &HashMismatch{Path: item.Info.Path, Registered: item.Info.NARHash, Found: got}
	}
	return f.until(end(item.Node))
}

// end is the ID behind a node and all below it.
func end(n *tree.Node) int {
	if kids := n.Children(); len(kids) > 0 {
		return end(kids[len(kids)-1])
	}
	return n.ID() + 1
}

// until gives the nodes before that ID, none of which is a file.
func (f *feed) until(id int) error {
	for f.next < id {
		if err := f.one(f.nodes[f.next]); err != nil {
			return err
		}
	}
	return nil
}

// one gives the next node, and compares a file with its pin.
func (f *feed) one(n *tree.Node) error {
	if n.Inode().Kind() != tree.File {
		f.next++
		return f.out.Add(f.paths[n.ID()], n, nil)
	}
	want, pinned := f.plan.pins[n.Inode().Blob()]
	if !pinned || !f.verify {
		return f.file(n, nil)
	}
	h := sha256.New()
	if err := f.file(n, h); err != nil {
		return err
	}
	if pin(h.Sum(nil)) != want {
		return fmt.Errorf("%s has other contents than when the plan was made: %w", hostName(n.Inode().Blob()), ErrMismatch)
	}
	return nil
}

// file gives a file, whose content also goes to hash unless that is nil.
func (f *feed) file(n *tree.Node, hash io.Writer) error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	f.next++
	passed := false
	err := f.out.Add(f.paths[n.ID()], n, func(w io.Writer) error {
		passed = true
		if hash != nil {
			w = io.MultiWriter(w, hash)
		}
		return f.copy(w, n.Inode().Blob())
	})
	if err == nil && !passed && hash != nil {
		err = f.copy(hash, n.Inode().Blob())
	}
	return err
}

// copy copies a content, which must have the length that it had.
func (f *feed) copy(w io.Writer, b tree.Blob) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.CopyBuffer(onlyWriter{w}, interruptible{f.ctx, io.NewSectionReader(r, 0, b.Size())}, f.buf)
	if err == nil && n != b.Size() {
		err = fmt.Errorf("%s ends at byte %d of %d", hostName(b), n, b.Size())
	}
	return err
}
