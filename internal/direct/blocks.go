// Package direct writes files past the page cache (O_DIRECT) in the background. For a large file that is a copy of each byte less, and no memory for
// the cache, which many virtual machines first have to get from their host.
package direct

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Size is the length in bytes of a buffer.
const Size = 4 << 20

// Least is the length in bytes from which on blocks are best written directly. A short write keeps the disk waiting as long as a long one.
const Least = 256 << 10

// Block is the unit in bytes of offsets and lengths of direct writes: at least the block size of all disks that there are, and a page, so that no
// page of the cache has a part of what is written directly.
var Block = max(4096, int64(os.Getpagesize()))

// Up rounds an offset up to a block.
func Up(off int64) int64 { return (off + Block - 1) &^ (Block - 1) }

// Down rounds an offset down to a block.
func Down(off int64) int64 { return off &^ (Block - 1) }

// Blocks are those of a file that is open twice, the second time with O_DIRECT.
type Blocks struct {
	file, direct *os.File
	refused      atomic.Bool
}

// Of returns the blocks of a file. direct belongs to them from then on.
func Of(file, direct *os.File) *Blocks { return &Blocks{file: file, direct: direct} }

// Write writes blocks from a buffer. After a refusal of the file system that holds for every write, the page cache takes them.
func (b *Blocks) Write(p []byte, off int64) error {
	if !b.refused.Load() {
		_, err := b.direct.WriteAt(p, off)
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		b.refused.Store(true)
	}
	_, err := b.file.WriteAt(p, off)
	return err
}

// Refused reports whether the file system was found to have no direct writes.
func (b *Blocks) Refused() bool { return b.refused.Load() }

// Close closes the file that was opened with O_DIRECT.
func (b *Blocks) Close() error { return b.direct.Close() }

// Buffer returns memory of Size bytes, from which blocks can be written. It lies outside of the heap: there the buffers of many workers would count as
// live memory, and the collector would let as much garbage accumulate. Huge pages make reading, hashing and writing it a fifth faster. It is given
// back with [Free].
func Buffer() ([]byte, error) {
	buf, err := unix.Mmap(-1, 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("get memory for writing: %w", err)
	}
	_ = unix.Madvise(buf, unix.MADV_HUGEPAGE) // small pages do, too
	return buf, nil
}

// Free gives the memory of a buffer back.
func Free(buf []byte) { _ = unix.Munmap(buf) }

// A Pool has the buffers of which as many may be on their way to the disk.
type Pool struct{ spare chan []byte }

// NewPool returns a pool of n buffers.
func NewPool(n int) (*Pool, error) {
	p := &Pool{make(chan []byte, n)}
	for range n {
		buf, err := Buffer()
		if err != nil {
			p.Free()
			return nil, err
		}
		p.Put(buf)
	}
	return p, nil
}

// Take returns a buffer, which is put back once it is written; nil if all are on their way: then the disk is the slower part, and the page cache
// should take the bytes.
func (p *Pool) Take() []byte {
	select {
	case buf := <-p.spare:
		return buf
	default:
		return nil
	}
}

// Put puts a buffer back, the same or another one.
func (p *Pool) Put(buf []byte) { p.spare <- buf }

// Free gives the memory back, after the last Put.
func (p *Pool) Free() {
	close(p.spare)
	for buf := range p.spare {
		Free(buf)
	}
}
