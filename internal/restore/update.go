package restore

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

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

// Update makes the disk of another one, whose bytes are known to be the same outside of changed, a list of sorted ranges. It writes these ranges to
// the file, unless it is nil, and returns the sums of the disk. What the file had in them does not matter, so that an interrupted update can be
// done again.
func (d Disk) Update(ctx context.Context, old Known, changed []tree.Range, file *os.File) (Sums, error) {
	sums, units := NewSums(d.Size), Units(changed, verity.Span)
	copy(sums, old.Sums)
	if short := min(d.Size, old.Size); d.Size != old.Size && short%verity.Span > 0 { // the sum of a span depends on its length
		units = append(units, short/verity.Span)
		slices.Sort(units)
		units = slices.Compact(units)
	}
	return sums, d.each(ctx, units, verity.Span, func(off int64, part []byte) error {
		sums.set(d.Size, off, part)
		if file == nil {
			return nil
		}
		return writeChanged(file, part, off, changed)
	})
}

// writeChanged writes what of changed lies in a part of the disk.
func writeChanged(file *os.File, part []byte, off int64, changed []tree.Range) error {
	i, _ := slices.BinarySearchFunc(changed, off, func(r tree.Range, off int64) int {
		if r.End() <= off {
			return -1
		}
		return 1
	})
	end := off + int64(len(part))
	for _, r := range changed[i:] {
		if r.Off >= end {
			break
		}
		from, to := max(r.Off, off), min(r.End(), end)
		if err := write(file, part[from-off:to-off], from); err != nil {
			return err
		}
	}
	return nil
}

// write writes bytes over others. Whole blocks of zeros become holes.
func write(file *os.File, p []byte, off int64) error {
	for len(p) > 0 {
		n := min(int64(len(p)), verity.BlockSize-off%verity.BlockSize)
		zero := pieces.IsZero(p[:n])
		for n < int64(len(p)) {
			k := min(int64(len(p))-n, verity.BlockSize)
			if pieces.IsZero(p[n:n+k]) != zero {
				break
			}
			n += k
		}
		if !zero || !punch(file, off, n) {
			if _, err := file.WriteAt(p[:n], off); err != nil {
				return err
			}
		}
		p, off = p[n:], off+n
	}
	return nil
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
