// Package direct writes files past the page cache (O_DIRECT) in the background. For a large file that is a copy of each byte less, and no memory for
// the cache, which many virtual machines first have to get from their host.
package direct

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Size is the length in bytes of the buffers, and of the longest write.
const Size = 4 << 20

// least is the length in bytes from which on a write is direct. A short one keeps the disk waiting as long as a long one.
const least = 256 << 10

// block is the unit in bytes of offsets and lengths of direct writes: at least the block size of all disks that there are, and a page.
var block = max(4096, int64(os.Getpagesize()))

// A Pool has the buffers of several files.
type Pool struct{ spare chan []byte }

// NewPool returns a pool of n buffers.
func NewPool(n int) (*Pool, error) {
	p := &Pool{make(chan []byte, n)}
	for range n {
		buf, err := unix.Mmap(-1, 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			p.Free()
			return nil, fmt.Errorf("get memory for writing: %w", err)
		}
		_ = unix.Madvise(buf, unix.MADV_HUGEPAGE) // small pages do, too
		p.spare <- buf
	}
	return p, nil
}

// Free gives the memory back, after all files are finished.
func (p *Pool) Free() {
	for close(p.spare); ; {
		buf, ok := <-p.spare
		if !ok {
			return
		}
		unix.Munmap(buf)
	}
}

// A File is a file whose blocks are written in the background. Its methods may be called from several goroutines.
type File struct {
	file, direct *os.File
	pool         *Pool

	mu      sync.Mutex
	settled *sync.Cond // a write has ended
	busy    []span     // that are being written
	err     error      // of a write that nobody waited for
	refused bool       // the file system has no direct writes
}

// A span is a range [from, to) of a file.
type span struct{ from, to int64 }

func (s span) overlaps(o span) bool { return s.from < o.to && o.from < s.to }

// New returns a file that is open twice, the second time with O_DIRECT. It closes neither.
func New(file, direct *os.File, pool *Pool) *File {
	f := &File{file: file, direct: direct, pool: pool}
	f.settled = sync.NewCond(&f.mu)
	return f
}

// WriteAt implements io.WriterAt. An error may be that of an earlier write. If all buffers are in use, the disk is the slower part, and the page cache
// takes the bytes.
func (f *File) WriteAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		at := off + int64(n)
		part := p[n:min(int64(len(p)), int64(n)+Size-at%Size)]
		err = f.write(part, at)
		n += len(part)
	}
	return n, err
}

// write writes a part that lies in one buffer.
func (f *File) write(p []byte, off int64) error {
	end := off + int64(len(p))
	s := span{(off + block - 1) / block * block, end / block * block}
	if s.to-s.from < least || !f.begin(s, p[s.from-off:]) {
		return f.through(p, off)
	}
	if err := f.through(p[:s.from-off], off); err != nil {
		return err
	}
	return f.through(p[s.to-off:], s.to)
}

// through writes through the page cache, after what is on its way to the same blocks.
func (f *File) through(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	f.mu.Lock()
	f.settle(span{off / block * block, (off + int64(len(p)) + block - 1) / block * block})
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = f.file.WriteAt(p, off)
	return err
}

// settle waits until nothing is on its way to a range.
func (f *File) settle(s span) {
	for f.overlaps(s) {
		f.settled.Wait()
	}
}

func (f *File) overlaps(s span) bool { return slices.ContainsFunc(f.busy, s.overlaps) }

// begin begins to write a copy of the first bytes of p to a range, and reports whether it does.
func (f *File) begin(s span, p []byte) bool {
	buf := f.buffer()
	if buf == nil {
		return false
	}
	n := copy(buf[:s.to-s.from], p)
	f.mu.Lock()
	f.settle(s)
	f.busy = append(f.busy, s)
	f.mu.Unlock()
	go f.end(s, buf, n)
	return true
}

// buffer returns a buffer; nil if none is free, or it would be of no use.
func (f *File) buffer() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused || f.err != nil {
		return nil
	}
	select {
	case buf := <-f.pool.spare:
		return buf
	default:
		return nil
	}
}

// end writes a range, and puts the buffer back.
func (f *File) end(s span, buf []byte, n int) {
	_, err := f.direct.WriteAt(buf[:n], s.from)
	refused := errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
	if refused {
		_, err = f.file.WriteAt(buf[:n], s.from)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = f.refused || refused
	if f.err == nil {
		f.err = err
	}
	i := slices.Index(f.busy, s)
	f.busy = slices.Delete(f.busy, i, i+1)
	f.pool.spare <- buf
	f.settled.Broadcast()
}

// Wait waits until everything is written, and returns the first error.
func (f *File) Wait() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.busy) > 0 {
		f.settled.Wait()
	}
	return f.err
}

// ReadAt implements io.ReaderAt, after what was written before.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.Wait(); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

// Truncate sets the size in bytes, after what was written before.
func (f *File) Truncate(size int64) error {
	if err := f.Wait(); err != nil {
		return err
	}
	return f.file.Truncate(size)
}
