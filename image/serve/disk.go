// Package serve reads a disk that was never written: a layout, whose bytes are read from the store and from host files on demand.
// It serves an image in a file, too, by the same rules.
//
// Sources may change while they are served. When a disk is opened, the device, inode, size and times of every source are recorded, and they
// must be the same before and after each read. The first read of a store item starts a comparison of the whole item with its registered hash
// in the background, the first read of a host file one with its pin. A difference ends the disk: all later reads fail.
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
	data    []tree.Range // everything but holes: whole units, sorted, without overlaps
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

// unit is the granularity in bytes of holes and of the statistics of reads.
const unit = 4096

func newDisk(name string, size int64) *Disk {
	return &Disk{name: name, size: size, seen: newSeen(size), ended: make(chan struct{}), close: func() {}}
}

// Size returns the size of the disk in bytes.
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

// changed makes errors that show that a source has changed match [write.ErrMismatch].
func changed(err error) error {
	if errors.Is(err, write.ErrMismatch) {
		return err
	}
	if errors.Is(err, tree.ErrChanged) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", err, write.ErrMismatch)
	}
	return err
}

// Run returns the end of the run of data, or of zeros in a hole, that begins at off. The end is at most limit.
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

// end ends the disk. Only the first reason is kept.
func (d *Disk) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
		close(d.ended)
	}
}

// Err returns the reason why the disk has ended, nil while it can be read.
func (d *Disk) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Ended returns a channel that is closed when the disk ends.
func (d *Disk) Ended() <-chan struct{} { return d.ended }

// Verify compares all contents with their hashes, before they are served. A difference does not end the disk.
func (d *Disk) Verify(ctx context.Context) error { return d.checks.all(ctx) }

// Checked returns the number of store items and host files that were read from, and of those among them that are verified so far.
func (d *Disk) Checked() (read, checked int) { return d.checks.counts() }

// Close stops background checks and closes all files. The disk must not be used after that.
func (d *Disk) Close() {
	d.checks.stop()
	d.close()
}

// merge adds a range, rounded to whole units, to the sorted data of a disk of that size.
func merge(data []tree.Range, off, n, size int64) []tree.Range {
	from, to := off&^(unit-1), min(size, (off+n+unit-1)&^(unit-1))
	if k := len(data) - 1; k >= 0 && from <= data[k].End() {
		data[k].Len = max(to, data[k].End()) - data[k].Off
		return data
	}
	return append(data, tree.Range{Off: from, Len: to - from})
}
