package main

import (
	"context"

	"imprint/cmd/imprint/family"
	"imprint/cmd/imprint/seriescmd"
	"imprint/container"
	"imprint/image/description"
	"imprint/image/outputs"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/named"
	"imprint/internal/output"
)

// checkSeries reports flags that do not go with a series.
func (f *buildFlags) checkSeries(store string) error {
	switch {
	case f.series == "" && f.explain:
		return usagef("--explain is for --series NAME")
	case f.series == "" && f.inPlace:
		return usagef("--in-place is for --series NAME")
	case f.series == "" && f.stable:
		return usagef("--stable-layout is for --series NAME")
	case f.series == "":
		return nil
	case f.write.NoVerify || f.write.NoDigest:
		return usagef("--series keeps what is verified and has a digest: it does not go with --no-verify or --no-digest")
	case f.exportRoot:
		return usagef("--series does not go with --export-root")
	case store == "":
		return usage{family.ErrNoStore}
	}
	if err := named.Check("a series", f.series); err != nil {
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

// planSeries returns resolveAs for an image that becomes the next generation of a series. The caller ends the build of the series.
func (r *root) planSeries(f buildFlags) func(context.Context, *description.Image, resolve.Inputs) (*planned, error) {
	return func(ctx context.Context, d *description.Image, in resolve.Inputs) (*planned, error) {
		if f.stable && d.Unique.V {
			return nil, usagef("--stable-layout keeps identifiers, and unique = true is for new ones")
		}
		s, err := seriescmd.Begin(ctx, r.storeDir(), f.series)
		if err != nil {
			return nil, err
		}
		in.SealLater = false
		if !d.Store.HardLink.V { // the trees of items depend on each other then
			in.Outlines, err = s.Outlines()
		}
		if err == nil && f.stable {
			in.Stable = true
			in.Earlier, err = s.KeepLayout(ctx, func(text string) { r.log.Warn(text) })
		}
		var p *planned
		if err == nil {
			p, err = r.resolveAs(ctx, d, in)
		}
		if err != nil {
			s.End()
			return nil, err
		}
		s.Plan, s.Layout, p.series = p.plan, p.layout, s
		return p, nil
	}
}

// writeSeries is write for an image that is kept as a generation.
func (r *root) writeSeries(ctx context.Context, p *planned, o *outputFiles, f buildFlags) (*build, error) {
	s := p.series
	s.Explain = f.explain
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
