package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/output"

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
	stable     bool
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
With --stable-layout the image has the identifiers of the current generation, and what has not changed is where that has it, so that the two
differ in few blocks; the first such image has some room for changes, so it is larger.

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
	flags.BoolVar(&r.noKeep, "no-keep", false, "do not keep what goes from binary caches on servers straight into the image")
	flags.StringVar(&f.series, "series", "", "keep the image in the build store, as the next generation of this `series`")
	flags.BoolVar(&f.explain, "explain", false, "with --series, print which inputs differ from those of the current generation")
	flags.BoolVar(&f.stable, "stable-layout", false, "with --series, keep what has not changed where the current generation has it")
	flags.BoolVar(&f.inPlace, "in-place", false, "with --series, change OUT itself if it holds a generation")
	flags.BoolVar(&r.json, "json", false, "print events as lines of JSON")
	r.describes(c)
	return c
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
	in := resolve.Inputs{Dir: dirOf(file), OutDir: filepath.Dir(o.disk.Path()), SealLater: true, Streams: !f.write.NoVerify}
	plan := r.resolveAs
	if f.series != "" {
		plan = r.planSeries(f)
	}
	p, err := plan(ctx, d, in)
	if err != nil {
		return err
	}
	if p.series != nil {
		defer p.series.End()
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
		if b.differences, err = r.again(ctx, file, t.file.Path(), p.in); err != nil {
			return fmt.Errorf("build again: %w", err)
		}
	}
	r.ui.clear()
	b.seconds = time.Since(start).Seconds()
	return r.built(f, b)
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
