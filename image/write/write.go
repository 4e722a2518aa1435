// Package write writes a layout to a file. It is the only stage that writes. Every source is read once and written at its
// final offset, in parallel; what is read is hashed and compared with the hash in the plan.
//
// A layout becomes jobs for package stream: batches of store items and files, generated structure, contents at fixed offsets.
// A region that a host tool fills in place is one job. A file system that a host tool packs into a file of its own comes
// before everything else, since the layout depends on its size.
//
// An image appears under its name complete or not at all: see [Output] and [Commit].
package write

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"

	"imprint/image/plan"
	"imprint/internal/interrupt"
	"imprint/internal/output"
	"imprint/internal/stream"
	"imprint/internal/units"

	"golang.org/x/sys/unix"
)

// Options say what is computed while a disk is written, and how.
type Options struct {
	NoVerify bool         // skip the comparison with NAR hashes, pins and earlier reads
	NoDigest bool         // compute no image digest
	NoSync   bool         // skip the syncs: after a power cut the image may be incomplete
	SHA256   bool         // also compute the plain SHA-256 of the disk, in a second pass
	Progress func(*Meter) // called before the first byte of each file system that is packed, and before that of the disk
	Export   bool         // boot files will be exported, and must equal those on the disk

	Formats []Formatted // outputs that get the disk in other formats, at the same time
	Scratch bool        // the file is no output: its content does not matter afterwards
}

// A Meter reports progress.
type Meter struct {
	written func() int64
	Total   int64  // bytes that will be written; an estimate with host tools
	Packs   string // name of the partition whose file system is packed; "" while the disk is written
}

// Written is the number of bytes written so far, or passed to the host tool that packs.
func (m *Meter) Written() int64 { return m.written() }

// A Result is what was written.
type Result struct {
	Plan    *plan.Plan   // with its hash trees
	Layout  *plan.Layout // with the actual sizes of what host tools have packed
	Digests plan.Digests
	Written int64 // bytes

	ledger *ledger
}

// Image writes a layout of a plan to file, which is empty. If ctx ends, it returns early, with the file incomplete.
//
// Errors match [ErrMismatch] if an item or a host file differs from its hash, and [tree.ErrChanged] if one changes while it is
// read.
func Image(ctx context.Context, file *os.File, p *plan.Plan, l *plan.Layout, o Options) (*Result, error) {
	p, l, err := o.sealFirst(ctx, p, l)
	if err != nil {
		return nil, err
	}
	v := verifier{off: o.NoVerify}
	if !v.off {
		v.ledger = newLedger(o.stages(p, l), o, exported(p, o), p.BootInputs)
	}
	made, l, err := packAll(ctx, p, l, v, o)
	if err != nil {
		return nil, err
	}
	defer made.remove()
	beside, err := newArchives(o, p, l)
	defer beside.discard()
	if err != nil {
		return nil, err
	}
	disk, err := o.disk(file, p, l)
	if err != nil {
		return nil, err
	}
	if disk.Direct != nil {
		defer disk.Direct.Close()
	}
	disk.Beside = beside.volumes
	s := newSequence(planner{disk: disk, verify: v, archives: beside, noDisk: o.noDisk()}, o.stages(p, l), p, l, made.files)
	if err := o.enoughSpace(s.first); err != nil {
		return nil, err
	}
	if o.Progress != nil {
		o.Progress(&Meter{written: disk.Bytes.Load, Total: s.first.total})
	}
	if err := o.run(ctx, s); err != nil {
		return nil, err
	}
	r := &Result{Plan: s.plan, Layout: s.layout, Written: disk.Bytes.Load(), ledger: v.ledger}
	if !o.noDisk() {
		r.Digests, err = digests(ctx, disk, s.layout, o)
	}
	return r, err
}

// noDisk reports whether no output holds the disk, so that only archives are written.
func (o Options) noDisk() bool {
	return o.Scratch && !slices.ContainsFunc(o.Formats, func(f Formatted) bool { return !f.Format.Tree })
}

// disk returns the disk that jobs write to. Without an output that holds it, its file stays empty.
func (o Options) disk(file *os.File, p *plan.Plan, l *plan.Layout) (*stream.Disk, error) {
	disk := &stream.Disk{Volume: stream.Volume{File: file, Size: l.Size, Scratch: meetOnly(l, o)}}
	disk.Distant = slices.ContainsFunc(p.Items, func(item *plan.Item) bool { return item.Distant })
	if o.noDisk() {
		return disk, nil
	}
	if err := file.Truncate(l.Size); err != nil {
		return nil, fmt.Errorf("make a file of %d bytes: %w", l.Size, err)
	}
	if !o.Scratch && !o.SHA256 { // what is read again is better left in the page cache
		disk.Direct = output.Direct(file)
	}
	if !o.NoDigest || len(o.Formats) > 0 || p.Seal != nil || disk.Direct != nil {
		disk.Digest = stream.NewPieces(l.Size)
		disk.Digest.NoSums = o.NoDigest && p.Seal == nil
	}
	return disk, nil
}

// run writes the disk, the outputs of other formats, and archives.
func (o Options) run(ctx context.Context, s *sequence) error {
	if !o.NoSync && !o.Scratch {
		defer o.back(o.SHA256)(s.disk.File)()
	}
	all := slices.Clone(s.archives.formats)
	if list := slices.DeleteFunc(slices.Clone(o.Formats), func(f Formatted) bool { return f.Format.Tree }); len(list) > 0 {
		f, err := newFormats(list, s.plan, s.layout, &s.disk.Volume)
		defer f.discard()
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	if !o.NoSync {
		for _, f := range all {
			f.writeBack(o.back(false))
		}
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	for _, f := range all {
		if err := f.finish(); err != nil {
			return err
		}
	}
	return nil
}

// digests gathers the digests of the image and of its partitions.
func digests(ctx context.Context, disk *stream.Disk, l *plan.Layout, o Options) (d plan.Digests, err error) {
	if !o.NoDigest {
		d.Image = disk.Digest.Sum().String()
		for _, region := range l.Regions {
			text := ""
			if off, size, whole := region.Range(); whole {
				sum, err := disk.Digest.SumOf(off, size, disk.File)
				if err != nil {
					return d, err
				}
				text = sum.String()
			}
			d.Partitions = append(d.Partitions, text)
		}
	}
	if o.SHA256 {
		d.SHA256, err = plainSum(ctx, disk.File, l.Size)
	}
	return d, err
}

// plainSum returns the SHA-256 of the first size bytes of an image.
func plainSum(ctx context.Context, image io.ReaderAt, size int64) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, interrupt.Reader(ctx, io.NewSectionReader(image, 0, size))); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// enoughSpace reports an error if a file system of the host has less free than is needed, before anything is written: for each plain file and
// for the scratch files of host tools and of archives. Packed files, and what waits in scratch files to be packed in order, count nothing: all
// that is known is that they take little more than the plain disk, and a build that needs much less must not be refused. If they fill the file
// system, the build fails in the end, and leaves nothing.
func (o Options) enoughSpace(jobs *planner) error {
	volumes := map[*os.File]int64{}
	for _, v := range jobs.disk.Beside {
		volumes[v.File] = jobs.sizes[v]
	}
	if o.Scratch && !jobs.disk.Scratch { // it is no output, but read afterwards
		volumes[jobs.disk.File] += jobs.sizes[&jobs.disk.Volume]
	}
	return o.spaceFor(jobs.disk.File, jobs.sizes[&jobs.disk.Volume], jobs.beside, volumes)
}

// spaceFor is enoughSpace for total bytes of the disk, for scratch files beside it, and for volumes.
func (o Options) spaceFor(file *os.File, total, beside int64, volumes map[*os.File]int64) error {
	need, first := map[uint64]int64{}, map[uint64]*os.File{}
	add := func(f *os.File, n int64) {
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil {
			need[st.Dev] += n
			first[st.Dev] = cmp.Or(first[st.Dev], f)
		}
	}
	if add(file, beside); !o.Scratch {
		add(file, total)
	}
	for f, n := range volumes {
		add(f, n)
	}
	for _, out := range o.Formats {
		if !out.Format.Tree && !out.Format.Beside && !out.packs() {
			add(out.File, total)
		}
	}
	for dev, f := range first {
		if err := enoughSpace(f, need[dev]); err != nil {
			return err
		}
	}
	return nil
}

// enoughSpace reports an error if the file system of a file has less than need bytes free.
func enoughSpace(file *os.File, need int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &st); err != nil {
		return nil // unknown; the writes will fail if there is too little
	}
	if free := int64(st.Bavail) * st.Frsize; need > free {
		return fmt.Errorf("write %s: the disk needs %s (%d bytes) and its file system has %s (%d bytes) free: %w",
			file.Name(), units.FormatBytes(need), need, units.FormatBytes(free), free, unix.ENOSPC)
	}
	return nil
}
