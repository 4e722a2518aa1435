package overlay

import (
	"errors"
	"io"
)

// A state is the place of the content of a block.
type state uint8

const (
	below   state = iota // in the base
	written              // in the file
	zero                 // nowhere: the block is zeros
)

// pageBlocks is the number of blocks in a page of the map, which has blockSize bytes of four states each.
const pageBlocks = 4 * blockSize

type page [blockSize]byte

// states is the map. A page without a block that was written is nil.
type states struct {
	blocks int64 // of the disk
	pages  []*page
	dirty  map[int64]bool // pages that differ from the file
}

func newStates(size int64) states {
	blocks := blocksTo(size)
	return states{blocks: blocks, pages: make([]*page, (blocks+pageBlocks-1)/pageBlocks), dirty: map[int64]bool{}}
}

// room returns the number of bytes reserved for the map, so that header and map end at a multiple of 64 KiB.
func (s *states) room() int64 {
	const grain = 64 << 10
	return (blockSize+int64(len(s.pages))*blockSize+grain-1)/grain*grain - blockSize
}

func (s *states) at(block int64) state {
	p := s.pages[block/pageBlocks]
	if p == nil {
		return below
	}
	at := block % pageBlocks
	return state(p[at/4] >> (at % 4 * 2) & 3)
}

// run returns the state of the byte at off, and the end, at most limit, of the run of bytes in that state.
func (s *states) run(off, limit int64) (state, int64) {
	block := off / blockSize
	found := s.at(block)
	for block++; block*blockSize < limit; {
		if s.pages[block/pageBlocks] == nil && found == below {
			block = (block/pageBlocks + 1) * pageBlocks
			continue
		}
		if s.at(block) != found {
			break
		}
		block++
	}
	return found, min(limit, block*blockSize)
}

// set sets the state of the blocks from first up to end.
func (s *states) set(first, end int64, to state) {
	for block := first; block < end; block++ {
		if s.at(block) == to {
			continue
		}
		n := block / pageBlocks
		if s.pages[n] == nil {
			s.pages[n] = new(page)
		}
		at := block % pageBlocks
		b := &s.pages[n][at/4]
		*b = *b&^(3<<(at%4*2)) | byte(to)<<(at%4*2)
		s.dirty[n] = true
	}
}

// load reads the map of a file. A page of zeros costs no memory.
func (s *states) load(f io.ReaderAt) error {
	for n := range s.pages {
		p := new(page)
		if _, err := f.ReadAt(p[:], blockSize+int64(n)*blockSize); err != nil {
			return err
		}
		if *p == (page{}) {
			continue
		}
		for _, b := range p {
			if b&(b>>1)&0x55 != 0 { // two bits set: no state
				return errors.New("its map is damaged")
			}
		}
		s.pages[n] = p
	}
	return nil
}

// store writes the pages of the map that have changed.
func (s *states) store(f io.WriterAt) (changed bool, err error) {
	for n := range s.dirty {
		if _, err := f.WriteAt(s.pages[n][:], blockSize+n*blockSize); err != nil {
			return true, err
		}
		delete(s.dirty, n)
		changed = true
	}
	return changed, nil
}
