package serve

import (
	"sync"

	"imprint/internal/tree"
)

// seen records which units of the disk were read.
type seen struct {
	mu    sync.Mutex
	pages []*[pageBits / 64]uint64 // nil if nothing in it was read
}

// pageBits is the number of units in a page, which covers 128 MiB of the disk.
const pageBits = 32 << 10

func newSeen(size int64) *seen {
	return &seen{pages: make([]*[pageBits / 64]uint64, (size+unit*pageBits-1)/(unit*pageBits))}
}

func (s *seen) add(off, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, end := off/unit, (off+n+unit-1)/unit; i < end; i++ {
		page := &s.pages[i/pageBits]
		if *page == nil {
			*page = new([pageBits / 64]uint64)
		}
		(*page)[i%pageBits/64] |= 1 << (i % 64)
	}
}

// in returns the number of bytes in r that were read. Units count as a whole, except for parts outside of r.
func (s *seen) in(r tree.Range) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := r.Off / unit; i*unit < r.End(); i++ {
		page := s.pages[i/pageBits]
		if page == nil {
			i = (i/pageBits+1)*pageBits - 1
			continue
		}
		if page[i%pageBits/64]>>(i%64)&1 != 0 {
			n += min(r.End(), (i+1)*unit) - max(r.Off, i*unit)
		}
	}
	return n
}

// A Share is the part of something that was read, in units of 4 KiB. Holes do not count: they cost nothing.
type Share struct {
	Name       string
	Read, Data int64 // bytes
}

// Shares returns the share of the whole disk that was read, then that of each partition.
func (d *Disk) Shares() []Share {
	list := []Share{d.share(d.name, []tree.Range{{Off: 0, Len: d.size}})}
	for _, r := range d.regions {
		list = append(list, d.share(r.name, r.parts))
	}
	return list
}

func (d *Disk) share(name string, parts []tree.Range) Share {
	s := Share{Name: name}
	for _, part := range parts {
		for off := part.Off; off < part.End(); {
			end, data := d.Run(off, part.End())
			if data {
				s.Data += end - off
				s.Read += d.seen.in(tree.Range{Off: off, Len: end - off})
			}
			off = end
		}
	}
	return s
}
