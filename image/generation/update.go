package generation

import (
	"context"
	"fmt"
	"os"

	"imprint/image/write"
	"imprint/internal/objects"
	"imprint/internal/restore"
	"imprint/internal/tree"
)

// mostCopied is the part of a disk, in tenths, up to which a copy of another one is changed. If more differs, writing all of it is as fast.
const mostCopied = 5

// Update makes an empty file the disk, given a file that holds the known one. It shares the blocks of that, or copies them if little differs; ok is
// false if neither is worth it, and nothing was written then.
func (o *Output) Update(ctx context.Context, file, old *os.File) (sums restore.Sums, how string, ok bool, err error) {
	shared, err := restore.Share(file, old)
	if err != nil {
		return nil, "", false, err
	}
	changed := o.Changed()
	if how = Shared; !shared {
		moved, data := o.amount(changed)
		if moved*10 > data*mostCopied {
			return nil, "", false, nil
		}
		how = Copied
		if err := restore.Copy(ctx, file, old, min(o.Recipe.Size, o.Known.Recipe.Size)); err != nil {
			return nil, "", false, err
		}
		o.Written += data
	}
	sums, err = o.patch(ctx, file, changed)
	return sums, how, true, err
}

// amount returns how many bytes of files are in ranges, and how many bytes of data the disk has. Of structure most is the same where it differs, so
// that it does not count.
func (o *Output) amount(ranges []tree.Range) (files, data int64) {
	for _, run := range o.Recipe.Runs {
		data += run.Len
		for len(ranges) > 0 && ranges[0].End() <= run.Off {
			ranges = ranges[1:]
		}
		for _, r := range ranges {
			if r.Off >= run.End() {
				break
			}
			if !o.Recipe.Contents[run.Content].Meta {
				files += min(r.End(), run.End()) - max(r.Off, run.Off)
			}
		}
	}
	return files, data
}

// patch writes what differs from the known disk to a file that holds that.
func (o *Output) patch(ctx context.Context, file *os.File, changed []tree.Range) (restore.Sums, error) {
	d, err := o.disk()
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(d.Size); err != nil {
		return nil, err
	}
	sums, written, err := d.Update(ctx, restore.Known{Size: o.Known.Recipe.Size, Sums: o.Known.Sums}, changed, file)
	o.Written += written
	return sums, err
}

// Patch writes what differs from the known disk to a file that holds it, in place, and syncs the file. If others are given, the file may hold a
// part of each of them and of the known disk, because an earlier update was interrupted: then the result is read and compared. Errors match
// [objects.ErrDamaged] if it is not the disk.
func (o *Output) Patch(ctx context.Context, file *os.File, others ...*Base) (restore.Sums, error) {
	changed := o.Changed()
	for _, b := range others {
		changed = union(changed, o.Recipe.Difference(b.Recipe))
	}
	sums, err := o.patch(ctx, file, changed)
	if err == nil {
		err = file.Sync()
	}
	if err != nil || len(others) == 0 {
		return sums, err
	}
	found, err := write.Digest(ctx, file, o.Recipe.Size)
	if err == nil && found != sums.Measure(o.Recipe.Size) {
		err = fmt.Errorf("%s was changed after its update was interrupted: remove it: %w", file.Name(), objects.ErrDamaged)
	}
	return sums, err
}

// union merges two lists of sorted ranges.
func union(a, b []tree.Range) (list []tree.Range) {
	for len(a)+len(b) > 0 {
		if len(a) == 0 || len(b) > 0 && b[0].Off < a[0].Off {
			a, b = b, a
		}
		if k := len(list) - 1; k >= 0 && a[0].Off <= list[k].End() {
			list[k].Len = max(list[k].End(), a[0].End()) - list[k].Off
		} else {
			list = append(list, a[0])
		}
		a = a[1:]
	}
	return list
}
