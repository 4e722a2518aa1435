package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"

	"imprint/container"
	"imprint/image/description"
	"imprint/image/outputs"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/output"
	"imprint/internal/visible"
)

// outputFiles are the files that a build writes. They are created before any input is read, so that an unwritable output fails at
// once.
type outputFiles struct {
	list []*target
	disk *output.Output // the assembled disk: the first raw output, or a file that is never named
}

func (o *outputFiles) discard() {
	for _, t := range o.list {
		for _, out := range []*output.Output{t.file, t.manifest} {
			if out != nil {
				out.Discard()
			}
		}
	}
	if o.disk != nil {
		o.disk.Discard()
	}
}

// groups returns the outputs to commit when the build is complete.
func (o *outputFiles) groups() (groups []output.Group) {
	for _, t := range o.list {
		if t.to == nil {
			groups = append(groups, t.group())
		}
	}
	return groups
}

// open checks the names of all outputs, and creates images and manifests. The caller discards them.
func (o *outputFiles) open(r *root, f *buildFlags, file string, d *description.Image) error {
	if err := r.choose(f, d); err != nil {
		return err
	}
	if err := f.check(file, d, writtenEntries(d)); err != nil {
		return err
	}
	o.list = f.targetList
	for _, t := range o.list {
		if err := t.create(!f.noManifest); err != nil {
			return err
		}
		if o.disk == nil && t.Format.Name == container.Raw && t.to == nil {
			o.disk = t.file
		}
	}
	if f.write.Scratch = o.disk == nil; f.write.Scratch {
		disk, err := output.Create(o.list[0].Name)
		if err != nil {
			return err
		}
		o.disk = disk
	}
	for _, t := range o.list {
		if t.file != o.disk {
			f.write.Formats = append(f.write.Formats, t.formatted())
		}
	}
	return nil
}

// choose finds out which outputs the flags and the description ask for, and refuses those that exclude each other.
func (r *root) choose(f *buildFlags, d *description.Image) error {
	list, err := outputs.Of(d, f.out)
	if err != nil {
		return usagef("%v", err)
	}
	for _, out := range list {
		f.targetList = append(f.targetList, &target{Output: out})
	}
	if list[0].Stdout {
		if f.series != "" {
			return onlyDisk(list[0].Name, list[0].Format)
		}
		if err := r.stdoutTarget(f); err != nil {
			return err
		}
	}
	if f.twice && f.readable() == nil {
		return usagef("--check compares images, and none of the outputs can be read as one")
	}
	for _, t := range f.targetList {
		if err := onlyDisk(t.Name, t.Format); f.series != "" && err != nil {
			return err
		}
	}
	return nil
}

// A target is a file that the user wants, with its manifest.
type target struct {
	outputs.Output
	file     *output.Output
	manifest *output.Output // nil for none
	stale    []string       // paths where manifests of older images may be
	to       *counted       // standard output; nil for a file
}

// A counted is a writer that counts bytes.
type counted struct {
	io.Writer
	written int64
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.written += int64(n)
	return n, err
}

// title returns the name of the target for messages.
func (t *target) title() string {
	if t.to != nil {
		return "standard output"
	}
	return visible.Line(t.Name)
}

// stdoutTarget prepares the only target for standard output. The report goes to standard error, and scratch files to a directory for them.
func (r *root) stdoutTarget(f *buildFlags) error {
	t := f.targetList[0]
	switch file, ok := r.raw.(*os.File); {
	case r.json:
		return usagef("-o %s and --json both write to standard output", t.Name)
	case ok && terminal(file):
		return usagef("-o %s: standard output is a terminal; send it to a program or a file", t.Name)
	}
	t.Name, t.to = filepath.Join(r.scratch(""), "stdout"), &counted{Writer: r.raw}
	f.noManifest, r.stdout = true, r.stderr
	return nil
}

// formatted returns the target for the stage that writes.
func (t *target) formatted() write.Formatted {
	f := write.Formatted{Output: t.file, Format: t.Format, Options: t.Options, Partition: t.Partition}
	if t.to != nil {
		f.To = t.to
	}
	return f
}

// readable returns the first target that can be read as an image, nil if there is none.
func (f *buildFlags) readable() *target {
	for _, t := range f.targetList {
		if t.Format.Readable && t.to == nil {
			return t
		}
	}
	return nil
}

// manifestName returns the name of the manifest beside the file.
func (t *target) manifestName() string { return t.Name + ".json" }

// create creates the file, and its manifest unless the build writes none.
func (t *target) create(manifest bool) (err error) {
	if t.file, err = output.Create(t.Name); err != nil || !t.Format.HoldsDisk() {
		return err
	}
	if manifest {
		if t.manifest, err = output.Create(t.manifestName()); err != nil {
			return err
		}
	}
	for _, beside := range []string{t.manifestName(), t.file.Path() + ".json"} { // these differ if a symlink leads to the file
		if place, err := output.Place(beside); err == nil {
			t.stale = append(t.stale, place)
		}
	}
	return nil
}

// group returns the file and its manifest, which are committed together.
func (t *target) group() output.Group {
	return output.Group{Files: []*output.Output{t.file}, Index: t.manifest, Stale: t.stale, IsIndex: isManifest}
}

// write writes the manifest, if there is one.
func (t *target) writeManifest(m plan.Manifest) error {
	if t.manifest == nil {
		return nil
	}
	if t.Format.Name != container.Raw {
		m.FileFormat = t.Format.Name
	}
	_, err := t.manifest.File.Write(m.JSON())
	return err
}

// sizes returns the length of the named file and the space that it takes on the host's disk, in bytes.
func (t *target) sizes() (length, onDisk int64) {
	info, err := os.Stat(t.Name)
	if err != nil {
		return 0, 0
	}
	return info.Size(), info.Sys().(*syscall.Stat_t).Blocks * 512
}
