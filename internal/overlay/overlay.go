// Package overlay makes a read-only disk writable: writes go to a file of their own, which can be opened again over the same disk.
//
// The file has a header in its first block, a map with two bits for each block of the disk, and then, from a multiple of 64 KiB on, the blocks
// themselves, at the same distances as on the disk. It is sparse: a block that was never written takes no space. Sync writes the blocks and
// then the map, so the file of a killed program has everything up to the last sync, and perhaps more.
package overlay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A Base is the disk below. Its content must not change. Its methods are called from several goroutines.
type Base interface {
	io.ReaderAt
	Size() int64 // bytes

	// Run returns the end of the run of data, or of zeros in a hole, that begins at off. The end is at most limit.
	Run(off, limit int64) (end int64, data bool)
}

// blockSize is the size in bytes of a block, the unit of the map.
const blockSize = 4096

// magic begins the header. The size of the disk follows, in 8 bytes, little-endian, then its identity, in 32 bytes.
const magic = "imprint overlay 1\n"

// ErrOther is matched by the error for a file that belongs to another disk.
var ErrOther = errors.New("it belongs to another image, or to an older state of it")

// A Disk is a base with the writes over it.
type Disk struct {
	base Base
	file *os.File
	data int64 // offset in the file of the disk's first byte

	mu     sync.RWMutex
	states states
}

// Open opens or creates the file at path. identity identifies the contents of the base: the error matches [ErrOther] if the file was created
// over another disk. The file is locked until Close.
func Open(path string, base Base, identity [32]byte) (d *Disk, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	d = &Disk{base: base, file: f, states: newStates(base.Size())}
	d.data = blockSize + d.states.room()
	if err := d.open(identity); err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return d, nil
}

// open locks the file, and reads or creates its header and map.
func (d *Disk) open(identity [32]byte) error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if err := unix.Flock(int(d.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.New("another program uses it")
	}
	want := make([]byte, blockSize)
	binary.LittleEndian.PutUint64(want[copy(want, magic):], uint64(d.base.Size()))
	copy(want[len(magic)+8:], identity[:])
	total := d.data + d.base.Size()
	if info.Size() == 0 {
		if err := d.file.Truncate(total); err != nil {
			return err
		}
		_, err := d.file.WriteAt(want, 0)
		return err
	}
	header := make([]byte, blockSize)
	if _, err := d.file.ReadAt(header, 0); err != nil || !bytes.HasPrefix(header, []byte(magic)) {
		return errors.New("a different file exists")
	}
	if !bytes.Equal(header, want) {
		return ErrOther
	}
	if info.Size() != total {
		return fmt.Errorf("it has %d bytes instead of %d", info.Size(), total)
	}
	return d.states.load(d.file)
}

// Size returns the size of the base in bytes.
func (d *Disk) Size() int64 { return d.base.Size() }

// Close closes the file. Writes since the last Sync may be lost.
func (d *Disk) Close() error { return d.file.Close() }

// ReadAt implements io.ReaderAt.
func (d *Disk) ReadAt(p []byte, off int64) (n int, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	end := min(off+int64(len(p)), d.Size())
	for at := off; at < end; {
		state, next := d.states.run(at, end)
		if n, err := d.readState(state, p[at-off:next-off], at); err != nil {
			return int(at-off) + n, err
		}
		at = next
	}
	if end < off+int64(len(p)) {
		return int(max(0, end-off)), io.EOF
	}
	return len(p), nil
}

// readState reads bytes whose blocks are all in state s.
func (d *Disk) readState(s state, p []byte, off int64) (n int, err error) {
	switch s {
	case below:
		n, err = d.base.ReadAt(p, off)
	case written:
		n, err = d.file.ReadAt(p, d.data+off)
	default:
		clear(p)
		return len(p), nil
	}
	if n == len(p) {
		return n, nil
	}
	return n, err
}

// Run returns the end of the run of data, or of zeros in a hole, that begins at off. The end is at most limit.
func (d *Disk) Run(off, limit int64) (end int64, data bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	end, data = d.runOnce(off, limit)
	for end < limit {
		next, same := d.runOnce(end, limit)
		if same != data {
			break
		}
		end = next
	}
	return end, data
}

func (d *Disk) runOnce(off, limit int64) (end int64, data bool) {
	state, end := d.states.run(off, limit)
	if state == below {
		return d.base.Run(off, end)
	}
	return end, state == written
}

// WriteAt implements io.WriterAt. It writes nothing after the end of the disk.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > d.Size() || int64(len(p)) > d.Size()-off {
		return 0, io.ErrShortWrite
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	end := off + int64(len(p))
	if err := d.own(off, end); err != nil {
		return 0, err
	}
	n, err := d.file.WriteAt(p, d.data+off)
	if err == nil {
		d.states.set(off/blockSize, blocksTo(end), written)
	}
	return n, err
}

// own copies the first and last block of a range to the file if the range covers only a part of them.
func (d *Disk) own(off, end int64) error {
	if off%blockSize != 0 {
		if err := d.fetch(off / blockSize); err != nil {
			return err
		}
	}
	if end%blockSize != 0 && end != d.Size() {
		return d.fetch(end / blockSize)
	}
	return nil
}

// fetch copies a block to the file, unless it was written.
func (d *Disk) fetch(block int64) error {
	off := block * blockSize
	p := make([]byte, min(blockSize, d.Size()-off))
	state := d.states.at(block)
	if state == written {
		return nil
	}
	if _, err := d.readState(state, p, off); err != nil {
		return err
	}
	_, err := d.file.WriteAt(p, d.data+off)
	if err == nil {
		d.states.set(block, block+1, written)
	}
	return err
}

// Zero makes n bytes from off on read as zeros. Whole blocks become holes and release their space.
func (d *Disk) Zero(off, n int64) error {
	end := off + n
	if off < 0 || n < 0 || off > d.Size() || n > d.Size()-off {
		return io.ErrShortWrite
	}
	if n == 0 {
		return nil
	}
	first, last := blocksTo(off), end/blockSize
	if end == d.Size() {
		last = blocksTo(end)
	}
	if first >= last {
		_, err := d.WriteAt(make([]byte, n), off)
		return err
	}
	if _, err := d.WriteAt(make([]byte, first*blockSize-off), off); err != nil {
		return err
	}
	if rest := last * blockSize; rest < end {
		if _, err := d.WriteAt(make([]byte, end-rest), rest); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states.set(first, last, zero)
	// The host's file system may not support this. Then the space stays allocated, and the map still says that the blocks are zero.
	unix.Fallocate(int(d.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, d.data+first*blockSize, (last-first)*blockSize)
	return nil
}

// Sync flushes the blocks to the disk, and then the map that refers to them.
func (d *Disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := unix.Fdatasync(int(d.file.Fd())); err != nil {
		return err
	}
	changed, err := d.states.store(d.file)
	if err != nil || !changed {
		return err
	}
	return unix.Fdatasync(int(d.file.Fd()))
}

// blocksTo returns the number of blocks that begin before an offset.
func blocksTo(off int64) int64 { return (off + blockSize - 1) / blockSize }
