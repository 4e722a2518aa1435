package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"imprint/cmd/imprint/envcmd"
	"imprint/cmd/imprint/seriescmd"
	"imprint/image/description"
	"imprint/image/diff"
	"imprint/image/emulator"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/diag"
	"imprint/internal/limits"
	"imprint/internal/output"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// buildFlags are the flags of build.
type buildFlags struct {
	out        []string
	exportBoot string
	exportRoot bool
	noManifest bool
	twice      bool
	write      write.Options
	series     string
	explain    bool
	inPlace    bool

	targetList []*target // the files to write
}

func (r *root) build() *cobra.Command {
	var f buildFlags
	c := &cobra.Command{
		Use:   "build FILE",
		Short: "Build the image that a description describes",
		Long: `build writes the image that FILE describes to OUT, and its manifest to OUT.json: the plan, every identifier, and the
digests of every partition and store item.

While it writes a store item, build checks the contents against the NAR hash that the item is registered with.
The image digest is the measurement of fs-verity, as "fsverity digest" prints it. --sha256 also computes the
SHA-256 of the whole image, which takes a second pass.

-o - writes the raw disk to standard output, and -o -.SUFFIX another format that can be written in order, such as -.raw.zst or -.tar; the
report goes to standard error. What came before an error has been written by then: look at the exit code.

-o may be repeated. Each file has the format of its suffix: .raw, .qcow2, .zst, .gz, .xz, .vmdk, .stream.vmdk, .ova, .vhd, .dynamic.vhd,
.vhdx, .gce.tar.gz or .bmap; or .tar, .tar.zst, .tar.gz, .tar.xz or .oci.tar, with the files of the root file system. All are written from one read of the sources. Without -o they are those of [[output]] in FILE.

OUT appears only when it is complete and on the disk. A build that fails or is interrupted leaves nothing and does
not change an older OUT. OUT.json never stands beside an image that it does not describe: it is removed before OUT is
replaced, and written afterwards. OUT keeps the owner and mode of the file that it replaces.

--series keeps the image as the next generation of a series, in the build store: see imprint series. What earlier generations have is not read
again, and an OUT that holds one of them and has not changed since is used to make the new one: it shares its blocks where the file system can
do that (btrfs, XFS), or is a copy of it in which only what differs is written, if that is less than half. With --in-place that is written to OUT
itself. If it is interrupted then, OUT has no manifest and holds a part of both, until the same command completes it.

--check builds the image again, in another working directory, with another umask, another number of workers and another
order of files, and compares the two; the second one never gets a name. If they differ, it prints how, as diff does, and exits with 6.

` + fetchingHelp,
		Example: `  imprint build image.toml
  imprint build image.toml -o /srv/images/web.raw
  imprint build image.toml -o web.qcow2 -o web.raw.zst
  imprint build image.toml -o -.tar | tar -t
  imprint build image.toml --series web --explain
  SOURCE_DATE_EPOCH=1700000000 imprint build image.toml --json`,
		Args:              exactly(1, "one description FILE"),
		ValidArgsFunction: tomlFiles,
		RunE:              func(c *cobra.Command, args []string) error { return r.runBuild(c.Context(), args[0], f) },
	}
	flags := c.Flags()
	flags.StringArrayVarP(&f.out, "out", "o", nil, "image `file`, in the format of its suffix; may be repeated (default NAME.raw or NAME.iso in the working directory)")
	flags.StringVar(&f.exportBoot, "export-boot", "", "also write kernel, initrd and command line of every boot entry, and a script for iPXE, to this `directory`")
	flags.BoolVar(&f.exportRoot, "export-root", false, "with --export-boot, also write the root file system as an initrd, to boot without a disk")
	flags.BoolVar(&f.noManifest, "no-manifest", false, "do not write OUT.json")
	flags.BoolVar(&f.write.NoSync, "no-sync", false, "do not sync: return before everything is on the disk")
	flags.BoolVar(&f.write.SHA256, "sha256", false, "also compute the SHA-256 of the whole image")
	flags.BoolVar(&f.write.NoDigest, "no-digest", false, "do not compute the image digest")
	flags.BoolVar(&f.write.NoVerify, "no-verify", false, "do not check the NAR hashes of store items")
	flags.BoolVar(&f.twice, "check", false, "build twice, in different conditions, and compare the images")
	flags.StringVar(&f.series, "series", "", "keep the image in the build store, as the next generation of this `series`")
	flags.BoolVar(&f.explain, "explain", false, "with --series, print which inputs differ from those of the current generation")
	flags.BoolVar(&f.inPlace, "in-place", false, "with --series, change OUT itself if it holds a generation")
	flags.BoolVar(&r.json, "json", false, "print events as lines of JSON")
	r.describes(c)
	return c
}

// planned is a description after the stages Parse, Resolve and Layout.
type planned struct {
	plan   *plan.Plan
	layout *plan.Layout
}

// parse reads a description, after checking that the limits of the process suffice for a build.
func parse(ctx context.Context, file string) (*description.Image, error) {
	if err := limits.Check(); err != nil {
		return nil, err
	}
	type text struct {
		src []byte
		err error
	}
	read := make(chan text, 1)
	go func() { // opening a pipe without a writer blocks for ever
		src, err := readDescription(file)
		read <- text{src, err}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case t := <-read:
		if t.err != nil {
			return nil, t.err
		}
		return description.Parse(file, t.src)
	}
}

// resolve takes a description through Resolve and Layout. outDir is the directory of the image; "" if none will be written.
func (r *root) resolve(ctx context.Context, file string, d *description.Image, outDir string) (*planned, error) {
	return r.resolveAs(ctx, d, resolve.Inputs{Dir: dirOf(file), OutDir: outDir})
}

// dirOf returns the directory to which the paths in a description are relative. Its symlinks are resolved, so that ".." means the same as for
// the system.
func dirOf(file string) string {
	dir := filepath.Dir(file)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// resolveAs is resolve with control over how inputs are read.
func (r *root) resolveAs(ctx context.Context, d *description.Image, in resolve.Inputs) (_ *planned, err error) {
	in.Unique, in.Scratch = rand.Text(), r.scratch(in.OutDir)
	in.BuildStore, in.Fetching, in.Getting, in.Gateway, in.Env = r.storeDir(), r.fetching, r.getting, r.ipfsGateway(), r.passedOn()
	in.Steps.Identity, in.Steps.Report = envcmd.Identity(), r.ui.step
	in.Basing, in.Docker = r.basing, r.dockerDir()
	in.Hold = func(release func()) { r.held = append(r.held, release) }
	in.Remote = r.remote()
	if in.Epoch, err = sourceDateEpoch(r.env("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	r.ui.stage("resolve", "reading the store and other inputs")
	resolved, err := resolve.Plan(ctx, d, in)
	if err != nil {
		return nil, err
	}
	r.log.WithField("items", len(resolved.Items)).Info("resolved")
	r.ui.stage("layout", "laying out the disk")
	layout, err := resolved.Layout(nil)
	if err != nil {
		return nil, err
	}
	r.log.WithField("bytes", layout.Size).Info("laid out")
	r.ui.warn(resolved.Warnings)
	return &planned{resolved, layout}, nil
}

// scratch returns the directory for unnamed files: that of the image, else one for temporary files that is on a disk.
func (r *root) scratch(outDir string) string { return cmp.Or(outDir, r.env("TMPDIR"), "/var/tmp") }

// readDescription reads a description, but no more than Parse accepts.
func readDescription(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, diag.List{{Position: diag.Position{File: file}, Text: "no such file", Hint: "imprint init prints a description to start from"}}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, description.MaxSource+1))
}

// maxEpoch is the last second that a superblock of ext4 can store, in 2106.
const maxEpoch = 1<<32 - 1

// sourceDateEpoch parses the value of SOURCE_DATE_EPOCH: seconds since 1970.
func sourceDateEpoch(text string) (*int64, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxEpoch {
		return nil, usagef("SOURCE_DATE_EPOCH is %q; it must be a number of seconds from 0 to %d", text, int64(maxEpoch))
	}
	return &n, nil
}

// runBuild builds an image. Outputs are opened first, so that a build of minutes does not fail at its end for a wrong name.
func (r *root) runBuild(ctx context.Context, file string, f buildFlags) error {
	start := time.Now()
	defer r.ui.clear()
	d, err := parse(ctx, file)
	if err != nil {
		return err
	}
	if err := f.checkSeries(r.storeDir()); err != nil {
		return err
	}
	o := &outputFiles{}
	defer o.discard()
	if err := o.open(r, &f, file, d); err != nil {
		return err
	}
	p, err := r.resolveAs(ctx, d, resolve.Inputs{Dir: dirOf(file), OutDir: filepath.Dir(o.disk.Path()), SealLater: f.series == ""})
	if err != nil {
		return err
	}
	if d.BootsSystems() { // their entries are named only now
		if err := f.check(file, d, p.plan.Entries); err != nil {
			return err
		}
	}
	for _, t := range f.targetList {
		t.Expand(p.plan) // in the texts that Formats has, too
	}
	b, err := r.write(ctx, p, o, f)
	if err != nil {
		return err
	}
	if f.twice {
		t := f.readable()
		r.written = t.Name
		if b.differences, err = r.again(ctx, file, t.file.Path()); err != nil {
			return fmt.Errorf("build again: %w", err)
		}
	}
	r.ui.clear()
	b.seconds = time.Since(start).Seconds()
	return r.built(f, b)
}

// A build is the result of writing an image.
type build struct {
	*write.Result
	manifest *plan.Manifest
	entries  []write.ExportedEntry
	seconds  float64

	differences []diff.Change // of a second build, with --check
	kept        *seriescmd.Result
}

// write writes the image, its manifest and the boot files, and names them when all are complete.
func (r *root) write(ctx context.Context, p *planned, o *outputFiles, f buildFlags) (*build, error) {
	if f.exportRoot {
		if err := write.CheckRoot(p.layout); err != nil {
			return nil, usagef("--export-root: %v", err)
		}
	}
	r.ui.stage("write", "writing "+f.targetList[0].title())
	f.write.Progress, f.write.Export = r.ui.meter, f.exportBoot != ""
	if f.series != "" {
		return r.writeSeries(ctx, p, o, f)
	}
	result, err := write.Image(ctx, o.disk.File, p.plan, p.layout, f.write)
	if err != nil {
		return nil, err
	}
	r.ui.stage("commit", "")
	b := &build{Result: result, manifest: result.Plan.Manifest(result.Layout, 0)}
	b.manifest.Built(result.Digests, !f.write.NoVerify)
	for _, t := range o.list {
		if err := t.writeManifest(*b.manifest); err != nil {
			return nil, err
		}
	}
	groups := o.groups()
	if f.exportBoot != "" {
		e, err := result.Boot(ctx, result.Plan, f.exportBoot, f.exportRoot)
		if err != nil {
			return nil, err
		}
		defer e.Discard()
		b.entries, groups = e.Entries, append(groups, e.Group())
	}
	return b, output.Commit(ctx, f.write.NoSync, groups...)
}

// built reports what was built, and how to boot it.
func (r *root) built(f buildFlags, b *build) error {
	m, result, first := b.manifest, b.Result, f.first()
	length, onDisk := first.sizes()
	if first.Format.HoldsDisk() {
		length = m.Size
	}
	if f.write.NoVerify {
		r.log.Warn("the NAR hashes of store items were not checked (--no-verify)")
	}
	if r.json {
		done := event{
			"event": "done", "image": first.Name, "size": length, "onDisk": onDisk, "written": result.Written, "seconds": b.seconds,
			"digest": result.Digests.Image, "sha256": result.Digests.SHA256, "verified": !f.write.NoVerify, "manifest": f.manifestOf(first),
			"outputs": f.outputEvents(),
		}
		if b.kept != nil {
			done["series"] = b.kept
		}
		if f.twice {
			done["differences"] = append([]diff.Change{}, b.differences...)
		}
		r.ui.event(done)
		return cmp.Or(r.ui.failed, b.checked())
	}
	var text strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	holds := units.Count(len(m.Partitions), "partition")
	if !first.Format.HoldsDisk() {
		holds = "partition " + first.Partition
	}
	size := units.FormatBytes(length) + " (" + units.FormatBytes(onDisk) + " on disk)"
	if first.to != nil {
		size = units.FormatBytes(first.to.written)
	}
	say("%s: %s, %s, %s, in %.1f s", first.title(), size, holds, units.Count(len(m.Items), "store item"), b.seconds)
	for _, t := range f.targetList {
		if t == first {
			continue
		}
		length, onDisk := t.sizes()
		say("%s: %s, %s (%s on disk)", t.Name, t.Format.Name, units.FormatBytes(length), units.FormatBytes(onDisk))
	}
	for _, line := range [][2]string{{"digest", result.Digests.Image}, {"sha256", result.Digests.SHA256}, {"manifest", f.manifestOf(first)}, {"boot", f.bootLine(b)}} {
		if line[1] != "" {
			say("  %-8s  %s", line[0], line[1])
		}
	}
	if b.kept != nil {
		text.WriteString(b.kept.Text())
	}
	if f.write.NoVerify {
		say("  unverified: the NAR hashes of store items were not checked")
	}
	switch {
	case len(b.differences) > 0:
		say("  check     built again in other conditions, and different:\n%s", strings.TrimSuffix(diff.Text(b.differences, false), "\n"))
	case f.twice:
		say("  check     built again in other conditions, and equal")
	}
	_, err := io.WriteString(r.stdout, text.String())
	return cmp.Or(err, b.checked())
}

// checked returns errDiffers if a second build had other bytes.
func (b *build) checked() error {
	if len(b.differences) > 0 {
		return errDiffers
	}
	return nil
}

// first returns the output that the report begins with: the first one with the disk, if there is one.
func (f buildFlags) first() *target {
	for _, t := range f.targetList {
		if t.Format.HoldsDisk() {
			return t
		}
	}
	return f.targetList[0]
}

// manifestOf returns the name of a target's manifest for the report, "" if it has none.
func (f buildFlags) manifestOf(t *target) string {
	if f.noManifest || !t.Format.HoldsDisk() {
		return ""
	}
	return t.manifestName()
}

// outputEvents returns all outputs for the report of a build.
func (f buildFlags) outputEvents() (list []event) {
	for _, t := range f.targetList {
		length, onDisk := t.sizes()
		list = append(list, event{"image": t.Name, "format": t.Format.Name, "length": length, "onDisk": onDisk, "manifest": f.manifestOf(t)})
	}
	return list
}

// bootLine returns a command that boots the first output that QEMU reads, "" if there is none.
func (f buildFlags) bootLine(b *build) string {
	for _, t := range f.targetList {
		if t.Format.QEMU != "" && t.to == nil {
			return emulator.Boot{Target: emulator.TargetOf(b.manifest), Image: t.Name, Format: t.Format.QEMU, Export: f.exportBoot, Entries: b.entries}.Line()
		}
	}
	return ""
}
