package direct

import (
	"os"
	"slices"
	"sync"
)

// A File is a file whose blocks are written in the background. Its methods may be called from several goroutines.
type File struct {
	file   *os.File
	blocks *Blocks
	pool   *Pool

	mu      sync.Mutex
	settled *sync.Cond // a write has ended
	busy    []span     // that are being written
	err     error      // of a write that nobody waited for
}

// A span is a range [from, to) of a file.
type span struct{ from, to int64 }

func (s span) overlaps(o span) bool { return s.from < o.to && o.from < s.to }

// New returns a file with those blocks.
func New(blocks *Blocks, pool *Pool) *File {
	f := &File{file: blocks.file, blocks: blocks, pool: pool}
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
	s := span{Up(off), Down(end)}
	if s.to-s.from < Least || !f.begin(s, p[s.from-off:]) {
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
	f.settle(span{Down(off), Up(off + int64(len(p)))})
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
	if f.blocks.Refused() || f.err != nil {
		return nil
	}
	return f.pool.Take()
}

// end writes a range, and puts the buffer back.
func (f *File) end(s span, buf []byte, n int) {
	err := f.blocks.Write(buf[:n], s.from)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	i := slices.Index(f.busy, s)
	f.busy = slices.Delete(f.busy, i, i+1)
	f.pool.Put(buf)
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
