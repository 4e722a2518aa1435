package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"imprint/internal/tree"
)

// Entries of a FAT are read a page at a time: an even number of entries, since two share a byte in FAT12. A table keeps some pages, since the
// chains of a volume in use jump about.
const (
	pageEntries = 1 << 14
	maxPages    = 256 // 16 MiB of FAT32
)

// A table reads entries of one FAT. It is safe for concurrent use.
type table struct {
	*geometry
	at    int64 // offset of the FAT in bytes
	mu    sync.Mutex
	pages map[uint32][]byte
	last  []byte // the page that was used last
	lastN uint32 // its number
}

// active returns the FAT that readers use: the first one, unless FAT32's ExtFlags turn mirroring off and name another.
func (g *geometry) active() *table {
	n := int64(0)
	if g.bits == 32 && g.more.ExtFlags&noMirror != 0 {
		n = min(int64(g.more.ExtFlags&activeFAT), int64(g.boot.NumFATs)-1)
	}
	return g.copy(n)
}

// Bits of ExtFlags.
const (
	noMirror  = 0x80
	activeFAT = 0x0f
)

// copy returns FAT n, counted from 0.
func (g *geometry) copy(n int64) *table {
	return &table{geometry: g, at: g.fat + n*g.fatSize, pages: map[uint32][]byte{}}
}

// entry returns the entry of a cluster, without the 4 reserved bits of FAT32.
func (t *table) entry(c uint32) (uint32, error) {
	e, err := t.raw(c)
	return e & endOfChain(t.bits), err
}

// raw returns all bits of an entry, which must be within the FAT.
func (t *table) raw(c uint32) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := c / pageEntries; t.last == nil || n != t.lastN {
		p, err := t.page(n)
		if err != nil {
			return 0, err
		}
		t.last, t.lastN = p, n
	}
	return getEntry(t.last, t.bits, int64(c%pageEntries)), nil
}

// page returns a page, and keeps it.
func (t *table) page(n uint32) ([]byte, error) {
	if p := t.pages[n]; p != nil {
		return p, nil
	}
	size := int64(pageEntries * t.bits / 8)
	at := int64(n) * size
	b := make([]byte, min(size, t.fatSize-at))
	if err := readFull(t.image, b, t.at+at); err != nil {
		return nil, fmt.Errorf("read FAT: %w", err)
	}
	if len(t.pages) == maxPages {
		clear(t.pages)
	}
	t.pages[n] = b
	return b, nil
}

// getEntry is the inverse of putEntry.
func getEntry(b []byte, bits int, i int64) uint32 {
	at := b[i*int64(bits)/8:]
	switch {
	case bits == 32:
		return binary.LittleEndian.Uint32(at)
	case bits == 16:
		return uint32(binary.LittleEndian.Uint16(at))
	case i%2 == 0:
		return uint32(at[0]) | uint32(at[1]&0xf)<<8
	}
	return uint32(at[0]>>4) | uint32(at[1])<<4
}

// readFull fills b from offset at; an image that ends before is [io.ErrUnexpectedEOF].
func readFull(image io.ReaderAt, b []byte, at int64) error {
	n, err := image.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// next returns the cluster after c in its chain; more is false at the end. An entry that is not the number of a cluster is an error.
func (t *table) next(c uint32) (to uint32, more bool, err error) {
	to, err = t.entry(c)
	switch {
	case err != nil:
		return 0, false, err
	case t.has(to):
		return to, true, nil
	case to > badCluster(t.bits):
		return 0, false, nil
	}
	return 0, false, t.notACluster(to)
}

// notACluster returns an error for a number that should be that of a cluster in use.
func (g *geometry) notACluster(c uint32) error {
	switch c {
	case 0:
		return errors.New("leads to no cluster: it is 0, as of a free one")
	case badCluster(g.bits):
		return errors.New("leads to no cluster: it marks a bad one")
	}
	return fmt.Errorf("leads to cluster %d, clusters are %d to %d", c, firstCluster, g.clusters+firstCluster-1)
}

// chain returns the ranges of the first n clusters of a chain, with neighbours merged. A chain that is shorter or runs in a circle is an error.
func (t *table) chain(first uint32, n int64) (list []tree.Range, err error) {
	if n > t.clusters {
		return nil, fmt.Errorf("%d clusters, the volume has %d", n, t.clusters)
	}
	if !t.has(first) {
		return nil, fmt.Errorf("directory entry %w", t.notACluster(first))
	}
	for c, i := first, int64(1); ; i++ {
		list = t.extend(list, c)
		if i == n {
			return list, nil
		}
		next, more, err := t.next(c)
		if err != nil {
			return nil, fmt.Errorf("FAT entry %d %w", c, err)
		}
		if !more {
			return nil, fmt.Errorf("the chain ends after %d clusters, %d are expected", i, n)
		}
		c = next
	}
}

// extend adds a cluster to a list of ranges.
func (g *geometry) extend(list []tree.Range, c uint32) []tree.Range {
	at := g.offset(c)
	if last := len(list) - 1; last >= 0 && list[last].End() == at {
		list[last].Len += g.cluster
		return list
	}
	return append(list, tree.Range{Off: at, Len: g.cluster})
}
