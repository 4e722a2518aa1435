package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"imprint/image/diff"
	"imprint/image/disk"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/output"
	"imprint/internal/processors"
	"imprint/partition"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// errDiffers is the error of comparisons that have printed differences.
var errDiffers = errors.New("there are differences")

// An imageFile is an image whose holes are known without reading them.
type imageFile struct{ *os.File }

// NextData returns the offset of the first byte at or after off that may not be zero.
func (f imageFile) NextData(off int64) int64 {
	next, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO:
		return math.MaxInt64
	case err != nil:
		return off
	}
	return next
}

func (r *root) diff() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show how two disk images differ, and why",
		Long: `diff compares two disk images of imprint or of other tools, also of different layout: partitions, the fields of file systems and
partition tables, files, store items and their registration. For an item it names the chain of references from a GC root.
Identifiers, times, checksums and unused space, which seldom matter, are listed last. It exits with 6 if the images differ.`,
		Example: "  imprint diff old.raw new.raw\n  imprint diff --json old.raw new.raw | jq '.changes[].object'",
		Args:    exactly(2, "two images"),
		RunE: func(c *cobra.Command, args []string) error {
			a, f, err := openImage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			b, g, err := openImage(args[1])
			if err != nil {
				return err
			}
			defer g.Close()
			return r.compare(c.Context(), a, b, diff.Options{}, all)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "list every difference, however many there are")
	c.Flags().BoolVar(&r.json, "json", false, "print the differences as a JSON document")
	return c
}

// compare prints how two disks differ. It returns errDiffers if they do.
func (r *root) compare(ctx context.Context, a, b *disk.Disk, o diff.Options, all bool) error {
	changes, err := diff.Compare(ctx, a, b, o)
	if err != nil {
		return err
	}
	if r.json {
		err = r.document(map[string]any{"equal": len(changes) == 0, "changes": append([]diff.Change{}, changes...)})
	} else {
		_, err = io.WriteString(r.stdout, diff.Text(changes, all))
	}
	if err == nil && len(changes) > 0 {
		return errDiffers
	}
	return err
}

// document prints a JSON document.
func (r *root) document(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = r.stdout.Write(append(text, '\n'))
	}
	return err
}

// A laidOut disk is a layout that is read from its sources.
type laidOut struct{ *plan.Layout }

// ReadAt implements io.ReaderAt.
func (l laidOut) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), l.Size-off)))
	if err := l.Layout.ReadAt(p[:n], off); err != nil || n == len(p) {
		return n, err
	}
	return n, io.EOF
}

// disk opens a layout. A region that a host tool has yet to make has the tree that the tool will get, if there is a reader of its file
// system. unknown lists the other such regions, by their names in package disk.
func (p *planned) disk() (d *disk.Disk, unknown []string, err error) {
	if d, err = disk.Open(laidOut{p.layout}, p.layout.Size); err != nil {
		return nil, nil, err
	}
	for _, r := range p.layout.Regions {
		name := fmt.Sprintf("%q", r.Partition.PartLabel)
		if r.In != nil {
			name = fmt.Sprintf("%q:%s", r.In.Partition.PartLabel, r.Partition.Path)
		}
		i := slices.IndexFunc(d.Regions, func(o *disk.Region) bool { return o.String() == name })
		if i >= 0 && r.Partition.Late {
			d.Regions[i].PartUUID = ""
		}
		switch f := partition.Named(r.Partition.Spec.Filesystem); {
		case p.plan.Unsealed(r.Partition):
			unknown = append(unknown, name)
		case !r.MadeByHost():
		case i < 0 || r.Tree == nil || !f.Readable():
			unknown = append(unknown, name)
		default:
			v := &partition.Volume{Filesystem: f, Tree: r.Tree, Label: r.Partition.Spec.Label, ID: r.Partition.VolumeID()}
			d.Regions[i].Volume, d.Regions[i].Kind, d.Regions[i].Err = v, f.Name, nil
		}
	}
	return d, unknown, nil
}

// planDiff prints what a build would change in an image. Items are compared by their registration.
func (r *root) planDiff(ctx context.Context, p *planned, image string, all bool) error {
	old, f, err := openImage(image)
	if err != nil {
		return err
	}
	defer f.Close()
	next, unknown, err := p.disk()
	if err != nil {
		return err
	}
	packed := slices.ContainsFunc(p.layout.Regions, func(r *plan.Region) bool {
		_, is := r.Maker.(partition.Packed)
		return is
	})
	return r.compare(ctx, old, next, diff.Options{Values: true, Unknown: unknown, Bounds: packed}, all)
}

// again builds an image a second time, to an unnamed file, and returns how it differs from the first. The conditions that must not matter are
// different: the working directory, the umask, the number of workers, the order of files in directories.
func (r *root) again(ctx context.Context, file, image string) ([]diff.Change, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	r.ui.stage("check", "building "+image+" again")
	defer func(u *ui) { r.ui = u }(r.ui)
	r.ui = newUI(io.Discard, io.Discard, false) // the first build has printed everything
	restore, err := otherConditions()
	if err != nil {
		return nil, err
	}
	defer restore()
	out, err := output.Create(image)
	if err != nil {
		return nil, err
	}
	defer out.Discard()
	d, err := parse(ctx, file)
	if err != nil {
		return nil, err
	}
	p, err := r.resolveAs(ctx, d, resolve.Inputs{Dir: dirOf(file), OutDir: filepath.Dir(image), Backwards: true, SealLater: true})
	if err != nil {
		return nil, err
	}
	result, err := write.Image(ctx, out.File, p.plan, p.layout, write.Options{NoSync: true, NoDigest: true})
	if err != nil {
		return nil, err
	}
	first, f, err := openImage(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	second, err := disk.Open(imageFile{out.File}, result.Layout.Size)
	if err != nil {
		return nil, err
	}
	return diff.Compare(ctx, first, second, diff.Options{})
}

// otherConditions changes conditions that must not matter to a build.
func otherConditions() (restore func(), err error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if err := os.Chdir("/"); err != nil {
		return nil, err
	}
	mask := unix.Umask(0o077)
	if mask == 0o077 {
		unix.Umask(0o022)
	}
	workers := 1
	if processors.Count() == 1 {
		workers = 3
	}
	undo := processors.Use(workers)
	return func() {
		undo()
		unix.Umask(mask)
		os.Chdir(dir) // best effort
	}, nil
}
