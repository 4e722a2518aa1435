package seriescmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"imprint/closure/outline"
	"imprint/image/generation"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/restore"
	"imprint/internal/series"
	"imprint/internal/tree"
	"imprint/internal/units"

	"imprint/cmd/imprint/envcmd"
)

// A Build is an image that is built as the next generation of a series.
type Build struct {
	Plan    *plan.Plan
	Layout  *plan.Layout
	Files   *Files
	Explain bool
	Export  string // directory for boot files; "" for none

	Exported *write.Export   // they, until they are named
	Prepared *write.Prepared // what host tools have made
	Manifest *plan.Manifest  // complete when Run returns
	Result   Result

	store    *series.Store
	name     string
	release  func()
	outlines *outline.Set
	earlier  *earlierImage // to whose layout the image keeps; nil for none
}

// Begin opens a series of the build store in a directory, for a build. Until [Build.End] nothing in the store is collected.
func Begin(ctx context.Context, store, name string) (*Build, error) {
	env, err := envcmd.Open(store)
	if err != nil {
		return nil, err
	}
	b := &Build{store: series.Open(env.Contents()), name: name}
	if b.release, err = b.store.Use(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// End ends the build, and discards what host tools have made.
func (b *Build) End() {
	b.release()
	if b.Prepared != nil {
		b.Prepared.Discard()
	}
}

// series reads the series; nil if there is none yet.
func (b *Build) series() (*series.Series, error) {
	e, err := b.store.Series(b.name)
	var unknown *named.UnknownError
	if errors.As(err, &unknown) {
		err = nil
	}
	return e, err
}

// Outlines returns the outlines of items that earlier generations have, for those who read the same items again; what is damaged is left
// out. Outlines of the new generation are kept from then on.
func (b *Build) Outlines() (*outline.Set, error) {
	e, err := b.series()
	if err != nil {
		return nil, err
	}
	b.outlines = outline.NewSet()
	for _, g := range reusable(e) {
		r, err := b.store.Record(g)
		if err != nil {
			return nil, err
		}
		text, err := b.store.Outlines(r)
		if err != nil || text == nil {
			continue
		}
		if set, err := outline.Parse(text); err == nil {
			b.outlines.Join(set)
		}
	}
	return b.outlines, nil
}

// Run builds the image, keeps it, and names its files.
func (b *Build) Run(ctx context.Context) error {
	e, err := b.series()
	if err != nil {
		return err
	}
	if b.Prepared, err = write.Prepare(ctx, b.Plan, b.Layout); err != nil {
		return err
	}
	b.Plan = b.Prepared.Plan // with its hash trees
	d := &delivery{store: b.store, name: b.name, files: b.Files}
	defer d.close()
	if err := d.look(e); err != nil {
		return err
	}
	err = b.purge(ctx, d, b.make(ctx, d, e))
	b.Result.Series, b.Result.How, b.Result.Layout = b.name, d.how, layouts(b.Prepared.Layout)
	return err
}

// make keeps the image, and delivers it.
func (b *Build) make(ctx context.Context, d *delivery, e *series.Series) error {
	k, err := b.keep(ctx, d, e)
	if err != nil {
		return err
	}
	if err := b.explain(d.store, e); err != nil {
		return err
	}
	if b.Export != "" {
		if b.Exported, err = b.Prepared.Boot(ctx, b.Export); err != nil {
			return err
		}
		defer b.Exported.Discard()
	}
	err = d.run(ctx, func(sums restore.Sums, sha256 string) (int, error) {
		if err := d.disk.Finish(sums, sha256, b.Prepared.Layout.Regions); err != nil {
			return 0, err
		}
		b.earlier.settle(b.Manifest)
		return b.add(ctx, d.store, k, sums)
	})
	b.Result.Written = d.disk.Written
	return err
}

// add adds the generation to the series, and returns its number.
func (b *Build) add(ctx context.Context, s *series.Store, k *generation.Kept, sums restore.Sums) (int, error) {
	r, err := s.Put(ctx, &series.Finished{
		Image: b.Manifest.Digest, Manifest: b.Manifest.JSON(), Inputs: inputsOf(b.Plan), Recipe: k.Recipe, Sums: sums,
		Outlines: k.Outlines.Text(),
	})
	if err != nil {
		return 0, err
	}
	b.Result.Generation, b.Result.New, err = s.Add(ctx, b.name, r, b.toSync(k))
	return b.Result.Generation, err
}

// purge removes what is damaged in the build store, if that is why the build has failed.
func (b *Build) purge(ctx context.Context, d *delivery, err error) error {
	if d.disk == nil || !errors.Is(err, objects.ErrDamaged) {
		return err
	}
	n, failed := d.disk.Purge(ctx)
	if failed != nil || n == 0 {
		return err
	}
	return fmt.Errorf("%w; %s removed from the build store: build again, which reads the sources", err, units.Count(n, "damaged content"))
}

// keep keeps the disk, taking what earlier generations have, and verifies what is used of that.
func (b *Build) keep(ctx context.Context, d *delivery, e *series.Series) (*generation.Kept, error) {
	known, at := d.held, generation.Earlier{Outlines: b.outlines}
	if d.held != nil {
		at.Recipes = append(at.Recipes, d.held.Recipe)
	}
	for _, g := range reusable(e) {
		base, err := generation.Load(d.store, g)
		if err != nil {
			return nil, fmt.Errorf("series %q: %w: imprint series verify lists what is wrong", b.name, err)
		}
		at.Recipes = append(at.Recipes, base.Recipe)
		if known == nil {
			known = base
		}
	}
	k, err := generation.Keep(ctx, b.Prepared, d.store.Contents(), b.exported(), at)
	if err != nil {
		return nil, err
	}
	b.Manifest = b.Plan.Manifest(b.Prepared.Layout, 0)
	d.disk = &generation.Output{Contents: d.store.Contents(), Recipe: k.Recipe, Manifest: b.Manifest, Known: known}
	b.Result.Reused, b.Result.Read = k.Reused, k.Read
	return k, d.disk.Verify(ctx, d.disk.Changed(), k.Fresh)
}

// toSync returns the contents that must be on the disk before the series leads there; nil if nobody waits for the disk.
func (b *Build) toSync(k *generation.Kept) []objects.Digest {
	if b.Files.Options.NoSync && !b.Files.InPlace {
		return nil
	}
	list := []objects.Digest{}
	for d, fresh := range k.Fresh {
		if fresh {
			list = append(list, d)
		}
	}
	return list
}

// exported returns the contents of boot files that are written beside the image.
func (b *Build) exported() (list []tree.Blob) {
	if b.Export == "" {
		return nil
	}
	for _, e := range b.Plan.Entries {
		list = append(list, e.Kernel.Content)
		for _, initrd := range e.Initrd {
			list = append(list, initrd.Content)
		}
	}
	return list
}

// reusable returns the generations whose contents may be used again: the current one and the last.
func reusable(e *series.Series) []series.Generation {
	if e == nil {
		return nil
	}
	current, err := e.Find("")
	if err != nil {
		return nil
	}
	last := e.Generations[len(e.Generations)-1]
	return slices.Compact([]series.Generation{current, last})
}

// inputsOf returns the inputs of a plan.
func inputsOf(p *plan.Plan) (list []series.Input) {
	for _, i := range p.MadeOf {
		list = append(list, series.Input(i))
	}
	return list
}

// explain compares the inputs with those of the current generation.
func (b *Build) explain(s *series.Store, e *series.Series) error {
	if !b.Explain || e == nil {
		return nil
	}
	g, err := e.Find("")
	if err != nil {
		return err
	}
	b.Result.Why, err = changesSince(s, g, inputsOf(b.Plan))
	return err
}

// changesSince returns the inputs that differ from those of a generation.
func changesSince(s *series.Store, g series.Generation, inputs []series.Input) ([]Change, error) {
	r, err := s.Record(g)
	if err != nil {
		return nil, err
	}
	old, err := s.Inputs(r)
	if err != nil {
		return nil, err
	}
	return compare(old, inputs), nil
}
