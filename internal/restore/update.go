package restore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"imprint/internal/pieces"
	"imprint/internal/tree"
	"imprint/internal/verity"

	"golang.org/x/sys/unix"
)

// A Known is a disk whose sums are known.
type Known struct {
	Size int64
	Sums Sums
}

// Update makes the disk of another one, whose bytes are known to be the same outside of changed, a list of sorted ranges. In these it compares
// blocks with what the file has, and writes those that differ; without a file it writes nothing. It returns the sums of the disk and how many
// bytes it has written. What the file had in changed does not matter, so that an interrupted update can be done again.
func (d Disk) Update(ctx context.Context, old Known, changed []tree.Range, file *os.File) (sums Sums, written int64, err error) {
	units := Units(changed, verity.Span)
	sums = NewSums(d.Size)
	copy(sums, old.Sums)
	if short := min(d.Size, old.Size); d.Size != old.Size && short%verity.Span > 0 { // the sum of a span depends on its length
		units = append(units, short/verity.Span)
		slices.Sort(units)
		units = slices.Compact(units)
	}
	u := &updating{file: file, changed: changed}
	err = d.each(ctx, units, verity.Span, func(off int64, part []byte) error {
		sums.set(d.Size, off, part)
		if file == nil {
			return nil
		}
		return u.part(part, off)
	})
	return sums, u.written.Load(), err
}

// An updating writes to a file.
type updating struct {
	file    *os.File
	changed []tree.Range
	written atomic.Int64
}

// part writes what of changed lies in a part of the disk.
func (u *updating) part(part []byte, off int64) error {
	i, _ := slices.BinarySearchFunc(u.changed, off, func(r tree.Range, off int64) int {
		if r.End() <= off {
			return -1
		}
		return 1
	})
	end := off + int64(len(part))
	for _, r := range u.changed[i:] {
		if r.Off >= end {
			break
		}
		from, to := max(r.Off, off), min(r.End(), end)
		if err := u.write(part[from-off:to-off], from); err != nil {
			return err
		}
	}
	return nil
}

// A kind is what has to be done with a block.
type kind byte

const (
	keep  kind = iota // it is what the file has
	data              // it is written
	zeros             // it becomes a hole
)

// write writes blocks over others.
func (u *updating) write(p []byte, off int64) error {
	old := make([]byte, len(p))
	if n, err := u.file.ReadAt(old, off); err != nil && err != io.EOF {
		return err
	} else if err == io.EOF {
		clear(old[n:]) // the file reads as zeros there once it is longer
	}
	kindOf := func(at int64) (kind, int64) {
		n := min(int64(len(p))-at, verity.BlockSize-(off+at)%verity.BlockSize)
		switch b := p[at : at+n]; {
		case bytes.Equal(b, old[at:at+n]):
			return keep, n
		case pieces.IsZero(b):
			return zeros, n
		}
		return data, n
	}
	for at := int64(0); at < int64(len(p)); {
		what, n := kindOf(at)
		for at+n < int64(len(p)) {
			next, k := kindOf(at + n)
			if next != what {
				break
			}
			n += k
		}
		if err := u.run(what, p[at:at+n], off+at); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// run writes blocks of one kind.
func (u *updating) run(what kind, p []byte, off int64) error {
	if what == keep || what == zeros && punch(u.file, off, int64(len(p))) {
		return nil
	}
	u.written.Add(int64(len(p)))
	_, err := u.file.WriteAt(p, off)
	return err
}

// punch makes zeros of a range, and reports whether the file system can do that.
func punch(file *os.File, off, n int64) bool {
	return unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n) == nil
}

// Share makes an empty file a copy of another one that shares its blocks, and reports whether the file system can do that.
func Share(to, from *os.File) (shared bool, err error) {
	err = unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EIO) {
		return false, &os.PathError{Op: "clone", Path: from.Name(), Err: err}
	}
	return err == nil, nil
}

// Copy copies the first size bytes of a file to an empty one, without holes.
func Copy(ctx context.Context, to, from *os.File, size int64) error {
	if err := to.Truncate(size); err != nil {
		return err
	}
	data, err := Data(from, 0, size)
	if err != nil {
		return err
	}
	for _, r := range data {
		if err := copyRange(ctx, to, from, r.Off, r.End()); err != nil {
			return err
		}
	}
	return nil
}

// Data returns the ranges of a file between two offsets that are not holes.
func Data(f *os.File, from, to int64) (list []tree.Range, err error) {
	for from < to {
		if from, err = f.Seek(from, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
			return list, nil
		}
		if err != nil || from >= to {
			return list, err
		}
		end, err := f.Seek(from, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		list = append(list, tree.Range{Off: from, Len: min(end, to) - from})
		from = end
	}
	return list, nil
}

// copyRange copies the bytes from off to end, in parts, so that it can be interrupted.
func copyRange(ctx context.Context, to, from *os.File, off, end int64) error {
	const most = 64 << 20
	for off < end {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		in, out := off, off
		n, err := unix.CopyFileRange(int(from.Fd()), &in, int(to.Fd()), &out, int(min(most, end-off)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL):
			var copied int64
			copied, err = io.Copy(io.NewOffsetWriter(to, off), io.NewSectionReader(from, off, min(most, end-off)))
			n = int(copied)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		off += int64(n)
	}
	return nil
}
