package squashfs

import "fmt"

// listStep is the number of blocks of a list that are in memory at a time.
const listStep = 4096

// A blockList finds the blocks of a file. The list has only their sizes, so it is read from its beginning to what is wanted; every listStep-th place is
// remembered. It is not safe for concurrent use.
type blockList struct {
	*stored
	marks []mark // the places of block 0, listStep, and so on, as far as they are known
	count bool   // what it reads is structure that no other may use: for an audit, which reads each list once
	chunk int64  // the number of the mark whose blocks follow, -1 for none
	held  []listed
}

// A mark is a place in a list.
type mark struct {
	list place
	at   int64 // offset of the block in the image
}

// A listed is a block of a list.
type listed struct {
	at     int64 // offset in the image
	stored uint32
}

func (s *stored) list() *blockList {
	return &blockList{stored: s, marks: []mark{{s.n.blocks, s.n.at}}, chunk: -1}
}

// block returns block i. The stored size of a hole is 0.
func (l *blockList) block(i int64) (packedBlock, error) {
	for k := min(i/listStep, int64(len(l.marks))-1); l.chunk != i/listStep; k++ {
		if err := l.load(k); err != nil {
			return packedBlock{}, fmt.Errorf("list of blocks: %w", err)
		}
	}
	b := l.held[i%listStep]
	return packedBlock{b.at, b.stored, min(l.blockSize, l.n.size-i*l.blockSize)}, nil
}

// load reads the blocks from a mark on, and notes the next mark.
func (l *blockList) load(k int64) error {
	l.chunk = -1
	count := min(listStep, l.n.blockCount(l.blockSize)-k*listStep)
	c := l.cursor(&l.inodes, l.marks[k].list)
	c.counted = l.count
	b, err := c.bytes(int(count) * 4)
	if err != nil {
		return err
	}
	l.held = l.held[:0]
	at := l.marks[k].at
	for ; len(b) > 0; b = b[4:] {
		size := le.Uint32(b)
		if size&^plainBlock > uint32(l.blockSize) {
			return fmt.Errorf("block of %d bytes, %d are allowed", size&^plainBlock, l.blockSize)
		}
		l.held = append(l.held, listed{at, size})
		at += int64(size &^ plainBlock)
	}
	if k == int64(len(l.marks))-1 {
		l.marks = append(l.marks, mark{c.at, at})
	}
	l.chunk = k
	return nil
}
