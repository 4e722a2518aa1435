package qcow2

import (
	"encoding/binary"

	"imprint/internal/pieces"
)

// Create returns a writer of plain clusters. Clusters of zeros are not allocated.
func Create(f pieces.File, d pieces.Disk) pieces.Writer {
	t := plan(d)
	return &plain{tables: t, file: f, slots: pieces.NewSlots(d, f, t.data, cluster, nil)}
}

type plain struct {
	*tables
	file  pieces.File
	slots *pieces.Slots
}

// Put implements pieces.Writer.
func (p *plain) Put(n int64, content []byte) error { return p.slots.Put(n, content) }

// Close implements pieces.Writer.
func (p *plain) Close() error {
	used := map[int64][]bool{} // clusters of the file that hold data, by refcount block
	buf := make([]byte, cluster)
	for i, at := range p.l1 {
		if at == 0 {
			continue
		}
		for k := range int64(entries) {
			off := uint64(0)
			if c := int64(i)*entries + k; c*cluster < p.disk.Size {
				if at, ok := p.slots.At(c); ok {
					off = uint64(at) | copied
					mark(used, at/cluster)
				}
			}
			binary.BigEndian.PutUint64(buf[k*8:], off)
		}
		if _, err := p.file.WriteAt(buf, at); err != nil {
			return err
		}
	}
	return p.finish(p.file, p.slots.End(), false, func(c int64) uint16 {
		if list := used[c/countsOf]; list != nil && list[c%countsOf] {
			return 1
		}
		return 0
	})
}

func mark(used map[int64][]bool, c int64) {
	if used[c/countsOf] == nil {
		used[c/countsOf] = make([]bool, countsOf)
	}
	used[c/countsOf][c%countsOf] = true
}
