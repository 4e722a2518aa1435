// Package recipe describes a disk as runs of contents that are kept by digest, so that it can be made again from them, and two disks can be
// compared without reading either.
//
// A recipe is a value. Bytes in no run are zeros. Every part of a content begins at a multiple of [Block], and the rest of its last block is
// zeros, as in most file systems: parts that follow one another in the content and on the disk are then one run.
package recipe

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/internal/extent"
	"imprint/internal/objects"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// Block is the alignment in bytes of the parts of a content.
const Block = 4096

// A Content is bytes that are kept.
type Content struct {
	Digest objects.Digest
	Size   int64  // bytes
	Key    string // of what it was made from, in 64 hexadecimal digits, known before that is read; "" for nothing
	Meta   bool   // structure, of which most is the same where it differs, with a key
}

// A Run is a range of the disk whose bytes are those of a content from At on. All are in bytes.
type Run struct {
	Off, Len int64
	Content  int // index
	At       int64
}

// End returns the offset after the run.
func (r Run) End() int64 { return r.Off + r.Len }

// A Recipe is a disk.
type Recipe struct {
	Size     int64 // bytes
	Contents []Content
	Runs     []Run // sorted by offset, and disjoint
}

// A Builder collects the runs of a disk, in any order.
type Builder struct {
	recipe Recipe
	index  map[Content]int
}

// New returns a builder of a disk of size bytes.
func New(size int64) *Builder { return &Builder{Recipe{Size: size}, map[Content]int{}} }

// Content returns the index of a content, which is added unless it is there.
func (b *Builder) Content(c Content) int {
	i, has := b.index[c]
	if !has {
		i = len(b.recipe.Contents)
		b.index[c], b.recipe.Contents = i, append(b.recipe.Contents, c)
	}
	return i
}

// Add adds a run. One that continues the last one, without anything between them, becomes a part of it.
func (b *Builder) Add(r Run) {
	if k := len(b.recipe.Runs) - 1; k >= 0 && b.recipe.Runs[k].End() == r.Off && follows(b.recipe.Runs[k], r) {
		b.recipe.Runs[k].Len += r.Len
		return
	}
	b.recipe.Runs = append(b.recipe.Runs, r)
}

// Recipe returns the disk. The error reports runs that overlap or leave the disk or their content.
func (b *Builder) Recipe() (*Recipe, error) {
	r := b.recipe
	slices.SortFunc(r.Runs, func(a, b Run) int { return cmp.Compare(a.Off, b.Off) })
	joined := r.Runs[:0]
	for _, run := range r.Runs {
		if k := len(joined) - 1; k >= 0 && follows(joined[k], run) {
			joined[k].Len = run.End() - joined[k].Off
			continue
		}
		joined = append(joined, run)
	}
	r.Runs = joined
	return &r, r.check()
}

// follows reports whether b continues a, after at most the zeros at the end of a block.
func follows(a, b Run) bool {
	end := a.At + a.Len
	return a.Content == b.Content && b.Off-a.Off == b.At-a.At && (b.At == end || b.At == units.Align(end, Block))
}

func (r *Recipe) check() error {
	for _, c := range r.Contents {
		if c.Size < 0 {
			return fmt.Errorf("a content has %d bytes", c.Size)
		}
	}
	end := int64(0)
	for _, run := range r.Runs {
		switch {
		case run.Len <= 0 || run.Off < end || run.Len > r.Size-run.Off:
			return fmt.Errorf("the run of %d bytes at %d overlaps another one, or leaves the disk of %d bytes", run.Len, run.Off, r.Size)
		case run.Content < 0 || run.Content >= len(r.Contents):
			return fmt.Errorf("the run at %d has content %d of %d", run.Off, run.Content, len(r.Contents))
		case run.At < 0 || run.Len > r.Contents[run.Content].Size-run.At:
			return fmt.Errorf("the run at %d leaves its content", run.Off)
		}
		end = run.End()
	}
	return nil
}

// Extents returns the disk as extents, given the blob of each content.
func (r *Recipe) Extents(blobs []tree.Blob) extent.List {
	list := make(extent.List, len(r.Runs))
	for i, run := range r.Runs {
		list[i] = extent.Extent{Off: run.Off, Len: run.Len, Blob: blobs[run.Content], At: run.At}
	}
	return list
}

// Data returns the ranges of the disk that runs cover.
func (r *Recipe) Data() (list []tree.Range) {
	for _, run := range r.Runs {
		list = grow(list, run.Off, run.End())
	}
	return list
}

// grow appends the range [from, to) to a list that ends before it, or at its start.
func grow(list []tree.Range, from, to int64) []tree.Range {
	if k := len(list) - 1; k >= 0 && list[k].End() == from {
		list[k].Len = to - list[k].Off
		return list
	}
	return append(list, tree.Range{Off: from, Len: to - from})
}
