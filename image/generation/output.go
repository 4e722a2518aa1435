package generation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/objects"
	"imprint/internal/processors"
	"imprint/internal/recipe"
	"imprint/internal/restore"
	"imprint/internal/series"
	"imprint/internal/tree"
	"imprint/internal/verity"

	"golang.org/x/sync/errgroup"
)

// A Base is a generation whose recipe and sums are known.
type Base struct {
	series.Generation
	Image  string
	Recipe *recipe.Recipe
	Sums   restore.Sums
}

// Load reads what is known of a generation.
func Load(s *series.Store, g series.Generation) (*Base, error) {
	r, err := s.Record(g)
	if err != nil {
		return nil, err
	}
	b := &Base{Generation: g, Image: r.Image}
	if b.Recipe, err = s.Recipe(r); err != nil {
		return nil, fmt.Errorf("read generation %d: %w", g.Number, err)
	}
	if b.Sums, err = s.Sums(r); err != nil {
		return nil, fmt.Errorf("read generation %d: %w", g.Number, err)
	}
	if len(b.Sums) != len(restore.NewSums(b.Recipe.Size)) {
		return nil, fmt.Errorf("read generation %d: its list of digests %w", g.Number, objects.ErrDamaged)
	}
	return b, nil
}

// How a file was written.
const (
	Whole   = "whole"    // all of it, from the contents
	Shared  = "shared"   // a copy of the file before that shares its blocks, with what differs written
	Copied  = "copied"   // a copy of the file before, with what differs written
	InPlace = "in place" // what differs, in the file itself
)

// An Output is a disk of contents that is written to files.
type Output struct {
	Contents *objects.Store
	Recipe   *recipe.Recipe
	Manifest *plan.Manifest
	Known    *Base // a disk that may have parts in common with this one; nil for none
	Written  int64 // bytes so far

	blobs []tree.Blob
}

// disk returns the disk, whose contents must all be there.
func (o *Output) disk() (*write.Stored, error) {
	if o.blobs == nil {
		for _, c := range o.Recipe.Contents {
			b, err := o.Contents.Get(c.Digest, c.Size, nil)
			if err != nil {
				return nil, err
			}
			o.blobs = append(o.blobs, b)
		}
	}
	d := restore.Disk{Size: o.Recipe.Size, Source: o.Recipe.Extents(o.blobs)}
	return &write.Stored{Disk: d, Data: o.Recipe.Data(), Manifest: o.Manifest}, nil
}

// Changed returns the ranges in which the disk may differ from the known one: all with data if there is none.
func (o *Output) Changed() []tree.Range {
	if o.Known == nil {
		return o.Recipe.Data()
	}
	return o.Recipe.Difference(o.Known.Recipe)
}

// Verify reads the contents that ranges of the disk need, apart from those that are fresh, and compares them with their digests. Errors match
// [objects.ErrDamaged].
func (o *Output) Verify(ctx context.Context, ranges []tree.Range, fresh map[objects.Digest]bool) error {
	if _, err := o.disk(); err != nil {
		return err
	}
	needed := map[int]bool{}
	units := restore.Units(ranges, verity.Span)
	for _, run := range o.Recipe.Runs {
		for len(units) > 0 && (units[0]+1)*verity.Span <= run.Off {
			units = units[1:]
		}
		if len(units) == 0 {
			break
		}
		if units[0]*verity.Span < run.End() && !fresh[o.Recipe.Contents[run.Content].Digest] {
			needed[run.Content] = true
		}
	}
	return o.verify(ctx, needed, func(i int, err error) error { return err })
}

// verify reads contents, and calls bad for those that are damaged.
func (o *Output) verify(ctx context.Context, needed map[int]bool, bad func(content int, err error) error) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for i := range needed {
		group.Go(func() error {
			err := objects.Verify(within, o.blobs[i])
			if errors.Is(err, objects.ErrDamaged) {
				err = bad(i, err)
			}
			return err
		})
	}
	return group.Wait()
}

// Purge reads all contents of the disk, and removes those that are damaged: a build then reads their sources again. It returns how many they were.
func (o *Output) Purge(ctx context.Context) (removed int, err error) {
	all := map[int]bool{}
	for i := range o.Recipe.Contents {
		all[i] = true
	}
	if _, err := o.disk(); err != nil {
		return 0, err
	}
	var count atomic.Int32
	err = o.verify(ctx, all, func(i int, _ error) error {
		count.Add(1)
		return o.Contents.Remove(o.Recipe.Contents[i].Digest)
	})
	return int(count.Load()), err
}

// Sums returns the sums of the disk without writing it. Only what may differ from the known disk is read.
func (o *Output) Sums(ctx context.Context) (restore.Sums, error) {
	d, err := o.disk()
	if err != nil {
		return nil, err
	}
	if o.Known == nil {
		return d.Whole(ctx, d.Data, func(int64, []byte) error { return nil })
	}
	sums, _, err := d.Update(ctx, restore.Known{Size: o.Known.Recipe.Size, Sums: o.Known.Sums}, o.Changed(), nil)
	return sums, err
}

// Write writes the whole disk to an empty file and to the outputs of other formats, and returns its sums and, if the options ask for it, its SHA-256.
// Where the disk has the same contents as the known one, its bytes must be the same: errors match [objects.ErrDamaged] if they are not.
func (o *Output) Write(ctx context.Context, file *os.File, w write.Options) (restore.Sums, string, error) {
	d, err := o.disk()
	if err != nil {
		return nil, "", err
	}
	sums, sha256, err := write.Restore(ctx, file, d, w)
	_, o.Written = o.amount(nil)
	if err != nil || o.Known == nil || o.Known.Recipe.Size != o.Recipe.Size {
		return sums, sha256, err
	}
	changed := map[int64]bool{}
	for _, n := range restore.Units(o.Changed(), verity.Span) {
		changed[n] = true
	}
	for i := range sums {
		if !changed[int64(i)] && sums[i] != o.Known.Sums[i] {
			return nil, "", fmt.Errorf("what the build store has of the disk at byte %d %w", int64(i)*verity.Span, objects.ErrDamaged)
		}
	}
	return sums, sha256, nil
}

// Finish adds the digests of the disk to its manifest.
func (o *Output) Finish(sums restore.Sums, sha256 string, regions []*plan.Region) error {
	d, err := o.disk()
	if err != nil {
		return err
	}
	digests := plan.Digests{Image: sums.Measure(d.Size), SHA256: sha256}
	for _, r := range regions {
		text := ""
		if off, size, whole := r.Range(); whole {
			if text, err = sums.MeasurePart(d.Disk, off, size); err != nil {
				return err
			}
		}
		digests.Partitions = append(digests.Partitions, text)
	}
	o.Manifest.Built(digests, true)
	return nil
}

// Check compares the sums of a disk that was made from a generation with its digest. Errors match [objects.ErrDamaged].
func (b *Base) Check(sums restore.Sums) error {
	if sums.Measure(b.Recipe.Size) != b.Image {
		return fmt.Errorf("generation %d %w: what was made of it does not have its digest", b.Number, objects.ErrDamaged)
	}
	return nil
}
