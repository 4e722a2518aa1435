package fat

import (
	"bytes"
	"iter"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// Extents implements [extent.Source]: it yields the extents of the volume that end after the byte offset from, in the order of their offsets.
// Meta is set for the boot sector, the FATs and the directories; a file's extents have its Blob.
func (p *Plan) Extents(from int64) iter.Seq[extent.Extent] {
	return func(yield func(extent.Extent) bool) {
		for e := range p.fixed.Extents(from) {
			if !yield(e) {
				return
			}
		}
		var buf []extent.Extent
		for _, c := range p.chainsFrom(from) {
			buf = p.place(buf[:0], p.tree.Node(int(c.id)))
			for _, e := range buf {
				if e.End() > from && !yield(e) {
					return
				}
			}
		}
	}
}

// chainsFrom returns the chains with a cluster that ends after the byte offset from.
func (p *Plan) chainsFrom(from int64) []chain {
	clusters := max(0, from-p.vol.offset(firstCluster)) / p.vol.cluster
	if clusters >= p.vol.clusters {
		return nil
	}
	return p.from(uint32(clusters) + firstCluster)
}

// Place appends the extents of a file's content, or of a directory's entries, to dst. Holes of a sparse file have none.
func (p *Plan) Place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	if n == p.tree.Root() && p.vol.bits != 32 {
		return append(dst, p.fixed[3:]...) // after boot sector and FATs
	}
	return p.place(dst, n)
}

// place is Place for content in clusters, which the fixed root directory is not in.
func (p *Plan) place(dst []extent.Extent, n *tree.Node) []extent.Extent {
	first := p.start[n.ID()]
	if first == 0 {
		return dst
	}
	at := p.vol.offset(first)
	if n.Kind() == tree.Dir {
		if p.length(n) == 0 {
			return dst // an empty root directory
		}
		return append(dst, extent.Extent{Off: at, Len: p.length(n), Blob: directoryBlob{p, n}, Meta: true})
	}
	blob := n.Inode().Blob()
	for _, d := range tree.DataOf(blob) {
		dst = append(dst, extent.Extent{Off: at + d.Off, Len: d.Len, Blob: blob, At: d.Off})
	}
	return dst
}

// A directoryBlob is the entries of a directory, generated when it is opened.
type directoryBlob struct {
	plan *Plan
	dir  *tree.Node
}

// Size implements tree.Blob.
func (b directoryBlob) Size() int64 { return b.plan.length(b.dir) }

// Open implements tree.Blob.
func (b directoryBlob) Open() (tree.Reader, error) {
	return directoryReader{bytes.NewReader(b.plan.directory(b.dir))}, nil
}

type directoryReader struct{ *bytes.Reader }

// Close implements io.Closer.
func (directoryReader) Close() error { return nil }
