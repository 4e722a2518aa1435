package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"imprint/bootloader"
	"imprint/cmd/imprint/imagecmd"
	"imprint/cmd/imprint/seriescmd"
	"imprint/container"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/outputs"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/output"
	"imprint/internal/series"
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
func (o *outputFiles) open(r *root, f *buildFlags, file string, d *description.Image) (err error) {
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
		if o.disk, err = output.Create(o.list[0].Name); err != nil {
			return err
		}
	}
	for _, t := range o.list {
		if t.file != o.disk {
			f.write.Formats = append(f.write.Formats, t.formatted())
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
	return t.Name
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

// writtenEntries returns the boot entries whose titles are in the description. Those of systems are known when they are read.
func writtenEntries(d *description.Image) (entries []bootloader.Entry) {
	for _, e := range d.Boot.Entry.Items {
		if !e.System.Written() {
			entries = append(entries, bootloader.Entry{Title: e.Title.V})
		}
	}
	return entries
}

// check reports names that an output cannot have.
func (f *buildFlags) check(file string, d *description.Image, entries []bootloader.Entry) error {
	var names []string
	for _, t := range f.targetList {
		names = append(names, t.Name)
		if !f.noManifest && t.Format.HoldsDisk() {
			names = append(names, t.manifestName())
		}
	}
	if f.exportRoot && f.exportBoot == "" {
		return usagef("--export-root is for --export-boot DIR")
	}
	if f.exportBoot != "" {
		exported, err := f.exported(file, d, entries)
		if err != nil {
			return err
		}
		names = append(names, exported...)
	}
	inputs := append(host.Paths(d, dirOf(file)), host.Path{Path: file})
	taken := map[string]string{}
	for _, name := range names {
		place, err := output.Place(name)
		if err != nil {
			return err
		}
		if other := taken[place]; other != "" {
			return usagef("the outputs %s and %s are the same file", other, name)
		}
		taken[place] = name
		if err := refuseInput(name, place, inputs); err != nil {
			return err
		}
	}
	for _, t := range f.targetList {
		if err := f.checkManifest(t.manifestName()); err != nil {
			return err
		}
	}
	return nil
}

// exported returns the names of the files that --export-boot may write for entries.
func (f *buildFlags) exported(file string, d *description.Image, entries []bootloader.Entry) (names []string, err error) {
	if !d.HasBootEntries() {
		return nil, usagef("--export-boot %s: the description has no boot entries", f.exportBoot)
	}
	dir := filepath.Clean(f.exportBoot)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		place, err := output.Place(dir) // it will be created
		if err != nil {
			return nil, err
		}
		return nil, refuseInput(f.exportBoot, place, host.Paths(d, dirOf(file)))
	case err != nil:
		return nil, err
	case output.Same(dir, file):
		return nil, usagef("the output %s is the description itself", f.exportBoot)
	case !info.IsDir():
		return nil, fmt.Errorf("write %s: not a directory", f.exportBoot)
	}
	for _, name := range write.ExportNames(entries) {
		names = append(names, filepath.Join(dir, name))
	}
	return names, nil
}

// refuseInput reports an output that would replace an input or be inside one. A tree that contains the image has a position in
// the description.
func refuseInput(name, place string, inputs []host.Path) error {
	for _, in := range inputs {
		info, err := os.Stat(in.Path)
		if err != nil {
			continue // reported by the stage that reads it
		}
		real, err := filepath.EvalSymlinks(in.Path)
		if err == nil {
			real, err = filepath.Abs(real)
		}
		switch rel, relErr := filepath.Rel(real, place); {
		case info.IsDir() && err == nil && relErr == nil && filepath.IsLocal(rel):
			return diag.List{in.Key.Problem(fmt.Sprintf("the output %s would be inside the input %s", name, in.Path),
				"use another -o, or a directory with nothing else in it")}
		case !info.IsDir() && output.Same(in.Path, place) && in.Key.Path == "":
			return usagef("the output %s is the description itself", name)
		case !info.IsDir() && output.Same(in.Path, place):
			return usagef("the output %s is an input of the image: %v: %s", name, in.Key.Position, in.Key.Path)
		}
	}
	return nil
}

// checkManifest refuses to replace a file that is not a manifest, since the user did not name it.
func (f *buildFlags) checkManifest(name string) error {
	if f.noManifest {
		return nil
	}
	if info, err := os.Stat(name); err != nil || info.Size() == 0 {
		return nil
	}
	is, err := isManifest(name)
	if err == nil && !is {
		err = usagef("%s exists and is not a manifest; to keep it, use another -o or --no-manifest", name)
	}
	return err
}

// isManifest reports whether a file is the manifest of an image.
func isManifest(path string) (bool, error) {
	m, err := imagecmd.ReadManifest(path)
	return m != nil, err
}

// checkSeries reports flags that do not go with a series.
func (f *buildFlags) checkSeries(store string) error {
	switch {
	case f.series == "" && f.explain:
		return usagef("--explain is for --series NAME")
	case f.series == "" && f.inPlace:
		return usagef("--in-place is for --series NAME")
	case f.series == "":
		return nil
	case f.write.NoVerify || f.write.NoDigest:
		return usagef("--series keeps what is verified and has a digest: it does not go with --no-verify or --no-digest")
	case f.exportRoot:
		return usagef("--series does not go with --export-root")
	case store == "":
		return usage{seriescmd.ErrNoStore}
	}
	if err := series.CheckName("a series", f.series); err != nil {
		return usage{err}
	}
	return nil
}

// onlyDisk reports an output that is not the disk, which is all that a generation has.
func onlyDisk(name string, f *container.Format) error {
	if outputs.ToStdout(name) {
		return usagef("-o %s: a series writes files", name)
	}
	if f != nil && f.Tree {
		return usagef("a series keeps disks, and %s is an archive of files", name)
	}
	return nil
}

// series returns the outputs as package seriescmd writes them.
func (o *outputFiles) series(m func() *plan.Manifest, w write.Options, inPlace bool) *seriescmd.Files {
	f := &seriescmd.Files{Disk: o.disk, Options: w, Raw: len(o.list) == 1 && !w.Scratch, InPlace: inPlace, Groups: o.groups}
	f.Manifests = func() error {
		for _, t := range o.list {
			if err := t.writeManifest(*m()); err != nil {
				return err
			}
		}
		return nil
	}
	for _, t := range o.list {
		f.Stale = append(f.Stale, t.stale...)
	}
	f.Indexes = func() (groups []output.Group) {
		for _, g := range o.groups() {
			g.Files = nil
			groups = append(groups, g)
		}
		return groups
	}
	return f
}

// writeSeries is write for an image that is kept as a generation.
func (r *root) writeSeries(ctx context.Context, p *planned, o *outputFiles, f buildFlags) (*build, error) {
	s := &seriescmd.Build{Store: r.storeDir(), Series: f.series, Plan: p.plan, Layout: p.layout, Explain: f.explain}
	defer func() {
		if s.Prepared != nil {
			s.Prepared.Discard()
		}
	}()
	b := &build{kept: &s.Result}
	s.Files = o.series(func() *plan.Manifest { return s.Manifest }, f.write, f.inPlace)
	if f.exportBoot != "" {
		s.Export = f.exportBoot
		for _, groups := range []*func() []output.Group{&s.Files.Groups, &s.Files.Indexes} {
			named := *groups
			*groups = func() []output.Group { return append(named(), s.Exported.Group()) }
		}
	}
	if err := s.Run(ctx); err != nil {
		return nil, err
	}
	if s.Exported != nil {
		b.entries = s.Exported.Entries
	}
	b.manifest = s.Manifest
	b.Result = &write.Result{Layout: s.Prepared.Layout, Written: s.Result.Written, Digests: plan.Digests{Image: s.Manifest.Digest, SHA256: s.Manifest.SHA256}}
	return b, nil
}

// seriesFiles creates the files of imprint series build.
func (r *root) seriesFiles(n seriescmd.FileNames) (*seriescmd.Set, error) {
	f := buildFlags{out: n.Out, noManifest: n.NoManifest}
	for _, name := range n.Out {
		if err := onlyDisk(name, container.BySuffix(name)); err != nil {
			return nil, err
		}
	}
	f.write.NoSync, f.write.SHA256, f.write.Progress = n.NoSync, n.SHA256, r.ui.meter
	o := &outputFiles{}
	if err := o.open(r, &f, "", &description.Image{}); err != nil {
		o.discard()
		return nil, err
	}
	m := &plan.Manifest{}
	set := &seriescmd.Set{Files: *o.series(func() *plan.Manifest { return m }, f.write, n.InPlace), Discard: o.discard}
	set.Manifest = func(is plan.Manifest) { *m = is }
	set.Report = func() error {
		return r.built(f, &build{manifest: m, Result: &write.Result{Digests: plan.Digests{Image: m.Digest, SHA256: m.SHA256}}})
	}
	return set, nil
}
