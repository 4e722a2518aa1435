package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"imprint/internal/diag"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/internal/verity"
)

// maxVerity is the largest partition in bytes that gets a hash tree, which is in memory: 512 MiB of it.
const maxVerity = 64 * units.GiB

// dataOf returns the partition whose hash tree fills another one, nil if there is none.
func (p *Plan) dataOf(hashes *Partition) *Partition {
	i := slices.IndexFunc(p.Partitions, func(part *Partition) bool { return part.Verity != "" && part.Verity == hashes.Spec.Name })
	if i < 0 {
		return nil
	}
	return p.Partitions[i]
}

// Unsealed reports whether a partition will get a hash tree that is not known yet.
func (p *Plan) Unsealed(hashes *Partition) bool {
	data := p.dataOf(hashes)
	return data != nil && data.Sealed == nil
}

// hashTree returns the content of a partition with the hash tree of another one. Its size follows from that one's.
func (l *layouter) hashTree(data, hashes *Partition) (tree.Blob, error) {
	size, err := l.sizeOf(data)
	problem := func(format string, args ...any) (tree.Blob, error) {
		return nil, &mistakeAt{data.VerityKey, fmt.Sprintf(format, args...)}
	}
	switch {
	case err != nil:
		return tree.Text(""), nil // reported when that one is laid out
	case size > maxVerity:
		return problem("the partition has %s, and a hash tree covers %s at most", units.FormatBytes(size), units.FormatBytes(maxVerity))
	case size%verity.BlockSize != 0:
		return problem("the partition has %d bytes, which is not a multiple of %d", size, verity.BlockSize)
	}
	return hashDevice{data.Sealed, hashes.Spec.UUID, verity.DeviceSize(size)}, nil
}

// sizeOf returns the size in bytes of a region of the disk that may come later on it.
func (l *layouter) sizeOf(part *Partition) (int64, error) {
	if r := l.regions[part]; r != nil {
		return r.Size, nil
	}
	if part == l.grown {
		return l.grownTo, nil
	}
	r := &Region{Partition: part, Offset: part.Offset}
	spec, err := l.spec(r)
	if err != nil {
		return 0, err
	}
	m, err := l.maker(r, spec)
	if err != nil {
		return 0, err
	}
	return part.regionSize(m.Size(), l.plan.SectorSize), nil
}

// A mistakeAt is an error at a key of another partition than the one that is laid out.
type mistakeAt struct {
	key  diag.Key
	text string
}

func (m *mistakeAt) Error() string { return m.text }

// A hashDevice is the content of a partition with a hash tree. While the tree is not known, only its size is.
type hashDevice struct {
	tree *verity.Tree
	id   repro.UUID
	size int64
}

// Size implements tree.Blob.
func (d hashDevice) Size() int64 { return d.size }

// Open implements tree.Blob.
func (d hashDevice) Open() (tree.Reader, error) {
	if d.tree == nil {
		return nil, errors.New("a hash tree is not known before what it covers is written")
	}
	return d, nil
}

// ReadAt implements io.ReaderAt.
func (d hashDevice) ReadAt(p []byte, off int64) (int, error) {
	n := max(0, min(int64(len(p)), d.size-off))
	if n > 0 {
		d.tree.ReadDevice(d.id, p[:n], off)
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Close implements io.Closer.
func (d hashDevice) Close() error { return nil }
