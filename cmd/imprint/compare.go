package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"imprint/cmd/imprint/imagecmd"
	"imprint/image/diff"
	"imprint/image/disk"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/output"
	"imprint/internal/processors"
	"imprint/partition"

	"golang.org/x/sys/unix"
)

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

// disk opens a layout. A region that a host tool has yet to make has the tree that the tool will get. unknown lists the other such regions, by their names in package disk.
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
		case i < 0 || r.Tree == nil:
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
	old, f, err := imagecmd.Open(ctx, image, r.scratch(""))
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
	return r.images().Compare(ctx, old, next, diff.Options{Values: true, Unknown: unknown, Bounds: packed}, all)
}

// again builds an image a second time, to an unnamed file, and returns how it differs from the first. The conditions that must not matter are
// different: the working directory, the umask, the number of workers, the order of files in directories.
// in has the layout to which the first one keeps.
func (r *root) again(ctx context.Context, file, image string, in resolve.Inputs) ([]diff.Change, error) {
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
	p, err := r.resolveAs(ctx, d, resolve.Inputs{
		Dir: dirOf(file), OutDir: filepath.Dir(image), Backwards: true, SealLater: true, Stable: in.Stable, Earlier: in.Earlier, Streams: true,
	})
	if err != nil {
		return nil, err
	}
	result, err := write.Image(ctx, out.File, p.plan, p.layout, write.Options{NoSync: true, NoDigest: true})
	if err != nil {
		return nil, err
	}
	first, f, err := imagecmd.Open(ctx, image, r.scratch(""))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	second, err := disk.Open(imagecmd.File{File: out.File}, result.Layout.Size)
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
