package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"imprint/internal/stream"
	"imprint/internal/units"

	"golang.org/x/sys/unix"
)

// WriteOptions say what is computed while a disk is written.
type WriteOptions struct {
	NoVerify bool         // leave the NAR hashes of store items and the pins of host files unchecked
	NoDigest bool         // compute no image digest
	SHA256   bool         // also compute the plain SHA-256 of the whole disk, in a pass of its own
	Progress func(*Meter) // called once, before the first byte is written
}

// A Meter tells how far Write is.
type Meter struct {
	written func() int64
	Total   int64 // bytes that will be written, as far as that is known
}

// Written is the number of bytes written so far.
func (m *Meter) Written() int64 { return m.written() }

// A Result is what Write made.
type Result struct {
	Digest     string   // of the image; empty when none was wanted
	Partitions []string // the digest of the 4 MiB pieces that each partition lies in
	SHA256     string   // in hexadecimal digits; empty unless it was asked for
	Written    int64    // bytes
	Size       int64    // of the image, bytes; a Layout that a host tool carries out knows only a bound
	Places     []Place  // of each partition, where the layout knows only a bound
}

// A Place is a range of the image, in bytes.
type Place struct{ Offset, Size int64 }

// Write carries a layout out into file, which is empty. Every source is read once, and nothing is written twice. ctx ends it early; the
// file's content is of no use then.
//
// Errors match ErrMismatch when an item or a host file is not what it was promised to be, and stream.ErrChanged when one changes while
// it is read.
func (p *Plan) Write(ctx context.Context, file *os.File, l *Layout, o WriteOptions) (*Result, error) {
	if p.Format == formatISO {
		return p.writeISO(ctx, file, l, o)
	}
	if err := file.Truncate(l.Size); err != nil {
		return nil, fmt.Errorf("make a file of %d bytes: %w", l.Size, err)
	}
	disk := &stream.Disk{File: file, Size: l.Size}
	if !o.NoDigest {
		disk.Digest = stream.NewPieces(l.Size)
	}
	jobs := planner{plan: p, disk: disk, verify: !o.NoVerify}
	jobs.prepare(l)
	if err := enoughSpace(file, jobs.total); err != nil {
		return nil, err
	}
	if o.Progress != nil {
		o.Progress(&Meter{disk.Bytes.Load, jobs.total})
	}
	if err := disk.Run(ctx, jobs.jobs); err != nil {
		return nil, err
	}
	return p.result(ctx, disk, l, o)
}

// result gathers the digests.
func (p *Plan) result(ctx context.Context, disk *stream.Disk, l *Layout, o WriteOptions) (*Result, error) {
	r := &Result{Written: disk.Bytes.Load(), Size: l.Size}
	if disk.Digest != nil {
		r.Digest = disk.Digest.Sum(0, l.Size).String()
		for _, region := range l.Regions {
			r.Partitions = append(r.Partitions, disk.Digest.Sum(region.Offset, region.Size).String())
		}
	}
	if o.SHA256 {
		var err error
		if r.SHA256, err = plainSum(ctx, disk.File, l.Size); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// plainSum is the SHA-256 of a whole image of that many bytes.
func plainSum(ctx context.Context, image io.ReaderAt, size int64) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, interruptible{ctx, io.NewSectionReader(image, 0, size)}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// interruptible reads until ctx ends.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// enoughSpace asks the host's file system whether that many bytes will find room, before the first one is written.
func enoughSpace(file *os.File, need int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &st); err != nil {
		return nil // a file system that cannot tell; the writing will
	}
	if free := int64(st.Bavail) * st.Frsize; need > free {
		return fmt.Errorf("write %s: the disk needs %s (%d bytes) and its file system has %s (%d bytes) free: %w",
			file.Name(), units.FormatBytes(need), need, units.FormatBytes(free), free, unix.ENOSPC)
	}
	return nil
}

// hostMade is a bound for what a host tool writes to a region, 0 when none does.
func (r *Region) hostMade() int64 {
	sum := int64(0)
	for n := range r.Partition.Spec.Tree.Nodes() {
		sum += units.Align(n.Size(), 4096) + 256
	}
	return min(r.Size, sum+sum/20)
}
