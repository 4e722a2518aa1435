// Package serve reads a disk that nobody has written: a layout, whose bytes come from the store and from the host's files when they are
// asked for. It reads an image in a file, too, by the same rules.
//
// Sources may change while they are served. When a disk is opened, the device, inode, size and times of every source are recorded, and they
// must be the same before and after each read. When something of a store item is read first, the whole item is compared with its registered
// hash, meanwhile; so is a host file with its pin. What differs ends the disk: all later reads fail.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"sync"

	"imprint/image/write"
	"imprint/internal/tree"
)

// A Disk is a disk that can be read at any offset, by several goroutines at once.
type Disk struct {
	name    string
	size    int64        // bytes
	regions []region     // in the order of the partitions
	data    []tree.Range // what is no hole, in whole units, in order and apart
	read    func(p []byte, off int64) error
	tag     func() (Identity, error)
	seen    *seen
	checks  checks
	close   func()

	mu    sync.Mutex
	err   error // why the disk has ended
	ended chan struct{}
}

// A region is a partition, in one or several parts of the disk.
type region struct {
	name  string
	parts []tree.Range
}

// unit is what holes and the bytes that were read are counted in.
const unit = 4096

func newDisk(name string, size int64) *Disk {
	return &Disk{name: name, size: size, seen: newSeen(size), ended: make(chan struct{}), close: func() {}}
}

// Size is the length in bytes.
func (d *Disk) Size() int64 { return d.size }

// ReadAt implements io.ReaderAt. Errors match [write.ErrMismatch] when a source has changed, and then every later read fails.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if err := d.Err(); err != nil {
		return 0, err
	}
	if off < 0 || off >= d.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), d.size-off)
	if err := d.read(p[:n], off); err != nil {
		err = changed(err)
		if errors.Is(err, write.ErrMismatch) {
			d.end(err)
		}
		return 0, err
	}
	d.seen.add(off, n)
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// changed makes what shows that a source has changed match [write.ErrMismatch].
func changed(err error) error {
	if errors.Is(err, write.ErrMismatch) {
		return err
	}
	if errors.Is(err, tree.ErrChanged) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", err, write.ErrMismatch)
	}
	return err
}

// Run returns where the bytes from off on cease to be alike, which is limit at most: they are data, or a hole, which reads as zeros.
func (d *Disk) Run(off, limit int64) (end int64, data bool) {
	i := sort.Search(len(d.data), func(i int) bool { return d.data[i].End() > off })
	switch {
	case i == len(d.data) || d.data[i].Off >= limit:
		return limit, false
	case d.data[i].Off > off:
		return d.data[i].Off, false
	}
	return min(limit, d.data[i].End()), true
}

// end ends the disk for the first of several reasons.
func (d *Disk) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
		close(d.ended)
	}
}

// Err is why the disk has ended; nil while it can be read.
func (d *Disk) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Ended is closed when the disk has ended.
func (d *Disk) Ended() <-chan struct{} { return d.ended }

// Verify compares everything that has a hash with it, before it is served. The disk is not ended by what it finds.
func (d *Disk) Verify(ctx context.Context) error { return d.checks.all(ctx) }

// Checked returns how many store items and host files were read from, and how many of those are compared with their hashes so far.
func (d *Disk) Checked() (read, checked int) { return d.checks.counts() }

// Close stops what goes on in the background, and releases what is open. Nobody may read any more.
func (d *Disk) Close() {
	d.checks.stop()
	d.close()
}

// merge adds a range to data that is in order, in whole units of a disk of that size.
func merge(data []tree.Range, off, n, size int64) []tree.Range {
	from, to := off&^(unit-1), min(size, (off+n+unit-1)&^(unit-1))
	if k := len(data) - 1; k >= 0 && from <= data[k].End() {
		data[k].Len = max(to, data[k].End()) - data[k].Off
		return data
	}
	return append(data, tree.Range{Off: from, Len: to - from})
}
