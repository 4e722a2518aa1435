package seriescmd

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"imprint/image/generation"
	"imprint/image/write"
	"imprint/internal/output"
	"imprint/internal/restore"
	"imprint/internal/scratch"
	"imprint/internal/series"
)

// Files are the files that a disk is written to.
type Files struct {
	Disk    *output.Output // the disk itself: an output, or a file that never gets a name
	Options write.Options  // with the outputs of other formats
	Raw     bool           // Disk is an output, and the only one
	InPlace bool           // change the file that Disk would replace

	Manifests func() error // writes the manifests
	Stale     []string     // paths where a manifest of the older file may be
	Groups    func() []output.Group
	Indexes   func() []output.Group // like Groups, without the files themselves
}

// How a file was written, besides those of package generation.
const unchanged = "unchanged" // it held the disk already

// A delivery writes a disk to files.
type delivery struct {
	store *series.Store
	name  string
	files *Files
	disk  *generation.Output

	old    *os.File // what Files.Disk replaces; nil if there is none that matters
	held   *generation.Base
	holds  bool               // old holds that disk, and has not changed since
	partly []*generation.Base // old may hold parts of these and of held, from interrupted updates
	how    string
	number int
}

// look finds out what the file that will be replaced holds. The caller closes d.
func (d *delivery) look(e *series.Series) error {
	if e == nil || !d.files.Raw {
		return nil
	}
	flags := os.O_RDONLY
	if d.files.InPlace {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(d.files.Disk.Path(), flags, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && !d.files.InPlace {
		return nil
	}
	if err != nil {
		return err
	}
	d.old = f
	if g, known := e.Holds(f); known {
		d.holds = true
		d.held, err = generation.Load(d.store, g)
		return err
	}
	for i, g := range e.Interrupted(f) {
		b, err := generation.Load(d.store, g)
		if err != nil {
			return err
		}
		if i == 0 {
			d.held = b
		} else {
			d.partly = append(d.partly, b)
		}
	}
	return nil
}

func (d *delivery) close() {
	if d.old != nil {
		d.old.Close()
	}
}

// run writes the disk and names the files. record is called when the sums of the disk are known, before an older file is changed or replaced, and
// returns the number of its generation.
func (d *delivery) run(ctx context.Context, record func(sums restore.Sums, sha256 string) (int, error)) error {
	if d.files.InPlace && d.held != nil {
		return d.inPlace(ctx, record)
	}
	sums, sha256, err := d.write(ctx)
	if err != nil {
		return err
	}
	if d.number, err = record(sums, sha256); err != nil {
		return err
	}
	if err := d.files.Manifests(); err != nil {
		return err
	}
	groups := d.files.Groups()
	if d.how == unchanged {
		groups = d.files.Indexes()
	}
	if err := output.Commit(ctx, d.files.Options.NoSync, groups...); err != nil {
		return err
	}
	return d.note(ctx)
}

// write writes the disk to the new files, from what the older one holds if that is faster. If that holds the disk already, it writes nothing.
func (d *delivery) write(ctx context.Context) (restore.Sums, string, error) {
	if d.holds && !d.files.Options.SHA256 {
		d.disk.Known = d.held
		if len(d.disk.Changed()) == 0 && d.held.Recipe.Size == d.disk.Recipe.Size {
			d.how = unchanged
			sums, err := d.disk.Sums(ctx)
			return sums, "", err
		}
		sums, how, ok, err := d.disk.Update(ctx, d.files.Disk.File, d.old)
		if ok || err != nil {
			d.how = how
			return sums, "", err
		}
	}
	d.how = generation.Whole
	return d.disk.Write(ctx, d.files.Disk.File, d.files.Options)
}

// inPlace writes what differs to the file. Until that is complete, the series says that it has begun, and the file has no manifest.
func (d *delivery) inPlace(ctx context.Context, record func(restore.Sums, string) (int, error)) error {
	d.how, d.disk.Known = generation.InPlace, d.held
	lock, err := scratch.Hold(ctx, d.files.Disk.Path())
	if err != nil {
		return err
	}
	defer lock.Release()
	sums, err := d.disk.Sums(ctx)
	if err != nil {
		return err
	}
	if d.number, err = record(sums, ""); err != nil {
		return err
	}
	if err := d.files.Manifests(); err != nil {
		return err
	}
	if d.holds && len(d.disk.Changed()) == 0 && d.held.Recipe.Size == d.disk.Recipe.Size {
		d.how = unchanged
		return output.Commit(ctx, d.files.Options.NoSync, d.files.Indexes()...)
	}
	if err := d.store.Begin(ctx, d.name, d.old, d.held.Number, d.number); err != nil {
		return err
	}
	for _, path := range d.files.Stale {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := d.disk.Patch(ctx, d.old, d.partly...); err != nil {
		return err
	}
	if err := output.Commit(ctx, d.files.Options.NoSync, d.files.Indexes()...); err != nil {
		return err
	}
	return d.note(ctx)
}

// note records that the file holds the generation, so that the next one can be made from it.
func (d *delivery) note(ctx context.Context) error {
	if !d.files.Raw || d.how == unchanged {
		return nil
	}
	f, err := os.Open(d.files.Disk.Path())
	if err != nil {
		return err
	}
	defer f.Close()
	return d.store.Note(ctx, d.name, d.number, f)
}
