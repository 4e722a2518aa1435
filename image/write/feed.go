package write

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"slices"
	"sync/atomic"

	"imprint/image/plan"
	"imprint/internal/tree"
	"imprint/partition"
)

// feed passes all nodes of a region to the packer that start returns, and closes it. Contents are verified as they pass,
// before the packer finishes; on a mismatch the packer is cancelled. fed counts their bytes.
func feed(ctx context.Context, r *plan.Region, v verifier, fed *atomic.Int64, start func(context.Context) (partition.Packer, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := start(ctx)
	if err != nil {
		return err
	}
	f := feeder{ctx: ctx, out: out, verify: v, fed: fed, buf: make([]byte, 256<<10), narHash: sha256.New()}
	if err := f.all(r); err != nil {
		cancel()
		out.Close() // its error only says that it was cancelled
		return err
	}
	return out.Close()
}

// A feeder passes all nodes of a tree to a packer, in the order of the tree. A NAR has the same order (entries sorted by
// name), so an item's NAR hash is computed from the same read.
type feeder struct {
	ctx     context.Context
	out     partition.Packer
	verify  verifier
	fed     *atomic.Int64
	buf     []byte
	narHash hash.Hash
	paths   []string // by node ID
	nodes   []*tree.Node
	next    int // ID of the next node
}

func (f *feeder) all(r *plan.Region) error {
	items := make(map[*tree.Node]*plan.Item, len(r.Partition.Items))
	for _, item := range r.Partition.Items {
		items[item.Node] = item
	}
	for path, n := range r.Tree.Walk() {
		f.paths, f.nodes = append(f.paths, path), append(f.nodes, n)
	}
	for f.next < len(f.nodes) {
		n := f.nodes[f.next]
		var err error
		if item := items[n]; item != nil && !f.verify.off {
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

// item passes an item. The verifier walks the files; directories and links between them are passed along by until.
func (f *feeder) item(item *plan.Item) error {
	err := f.verify.item(f.ctx, item, f.narHash, func(n *tree.Node, h io.Writer) error {
		if err := f.until(n.ID()); err != nil {
			return err
		}
		return f.file(n, h)
	})
	if err != nil {
		return err
	}
	return f.until(end(item.Node))
}

// end returns the ID after those of a node and everything below it.
func end(n *tree.Node) int {
	if kids := n.Children(); len(kids) > 0 {
		return end(kids[len(kids)-1])
	}
	return n.ID() + 1
}

// until passes the nodes before that ID, none of which is a file.
func (f *feeder) until(id int) error {
	for f.next < id {
		if err := f.one(f.nodes[f.next]); err != nil {
			return err
		}
	}
	return nil
}

// one passes the next node.
func (f *feeder) one(n *tree.Node) error {
	if n.Inode().Kind() != tree.File {
		f.next++
		return f.out.Add(f.paths[n.ID()], n, nil)
	}
	return f.verify.content(n.Inode().Blob(), func(h io.Writer) error { return f.file(n, h) })
}

// file passes a file. Its content also goes to h, unless that is nil: even if the packer does not read it, since it is another
// name of a file that it has.
func (f *feeder) file(n *tree.Node, h io.Writer) error {
	b, passed := n.Inode().Blob(), false
	f.next++
	err := f.out.Add(f.paths[n.ID()], n, func(w io.Writer) error {
		passed = true
		return tree.Copy(f.ctx, together(w, h, counter{f.fed}), b, f.buf)
	})
	if err == nil && !passed && h != nil { // a further name of a file
		err = tree.Copy(f.ctx, h, b, f.buf)
	}
	return err
}

// together returns a writer to all of several, of which those that are nil do not count. It takes holes at once if all of them do.
func together(all ...io.Writer) io.Writer {
	all = slices.DeleteFunc(all, func(w io.Writer) bool { return w == nil })
	var zeros []tree.ZeroWriter
	for _, w := range all {
		z, ok := w.(tree.ZeroWriter)
		if !ok {
			return io.MultiWriter(all...)
		}
		zeros = append(zeros, z)
	}
	return tree.Tee(zeros...)
}

// A counter counts the bytes that are written to it, without holes.
type counter struct{ n *atomic.Int64 }

// Write implements io.Writer.
func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// WriteZeros implements tree.ZeroWriter.
func (counter) WriteZeros(int64) error { return nil }
