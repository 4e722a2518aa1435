package seriescmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"imprint/image/generation"
	"imprint/image/plan"
	"imprint/internal/restore"
	"imprint/internal/series"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// FileNames name the files that a disk is written to.
type FileNames struct {
	Out        []string
	NoManifest bool
	NoSync     bool
	SHA256     bool
	InPlace    bool
}

// A Set is files that were created and have no names yet.
type Set struct {
	Files
	Manifest func(plan.Manifest) // sets what Manifests writes
	Report   func() error        // prints what was made
	Discard  func()
}

func (w World) build() *cobra.Command {
	var names FileNames
	c := &cobra.Command{
		Use:   "build NAME[:TAG] -o FILE",
		Short: "Make the image of a generation again",
		Long: `build makes the image of a generation from what the build store has of it, and compares it with the digest that it had. No description, source
or host tool is needed. -o may be repeated; each file has the format of its suffix, as with imprint build. FILE appears when it is
complete, with its manifest beside it.

A FILE that holds another generation of the series, and has not changed since it was written, is used: the new one shares its blocks where
the file system can do that (btrfs, XFS), or is a copy in which only what differs is written, if that is less than half. With --in-place
FILE itself is changed, and nothing else is written. Its manifest is gone while that lasts. If it is interrupted, FILE holds
a part of both images; the same command, or the next build of the series with --in-place, completes it.`,
		Example: "  imprint series build web -o web.raw\n  imprint series build web:stable -o web.qcow2\n  imprint series build web:3 -o web.raw --in-place",
		Args:    w.Arguments(1, 1, "a NAME or NAME:TAG"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(names.Out) == 0 {
				return w.Usage(errors.New("name the image (-o FILE)"))
			}
			defer w.Done()
			return w.again(c.Context(), args[0], names)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&names.Out, "out", "o", nil, "image `file`, in the format of its suffix; may be repeated")
	f.BoolVar(&names.NoManifest, "no-manifest", false, "do not write FILE.json")
	f.BoolVar(&names.NoSync, "no-sync", false, "do not sync: return before everything is on the disk")
	f.BoolVar(&names.SHA256, "sha256", false, "also compute the SHA-256 of the whole image")
	f.BoolVar(&names.InPlace, "in-place", false, "change FILE, if it holds another generation of the series")
	return c
}

// again makes the image of a generation.
func (w World) again(ctx context.Context, name string, names FileNames) error {
	s, e, g, err := w.find(name)
	if err != nil {
		return err
	}
	release, err := s.Use(ctx)
	if err != nil {
		return err
	}
	defer release()
	base, m, err := load(s, g)
	if err != nil {
		return err
	}
	set, err := w.Files(names)
	if err != nil {
		return err
	}
	defer set.Discard()
	w.Stage("write", "writing "+names.Out[0])
	d := &delivery{store: s, name: e.Name, files: &set.Files}
	defer d.close()
	if err := d.look(e); err != nil {
		return err
	}
	d.disk = &generation.Output{Contents: s.Contents(), Recipe: base.Recipe, Manifest: m}
	err = d.run(ctx, func(sums restore.Sums, sha256 string) (int, error) {
		m.SHA256 = sha256
		set.Manifest(*m)
		return g.Number, base.Check(sums)
	})
	if err != nil {
		return err
	}
	w.Done()
	if err := set.Report(); err != nil {
		return err
	}
	return w.Print("  series    generation %d of %s, of %s; %s\n", g.Number, e.Name, units.Count(len(e.Generations), "generation"), written(d.how, d.disk.Written))
}

// load reads a generation with its manifest.
func load(s *series.Store, g series.Generation) (*generation.Base, *plan.Manifest, error) {
	base, err := generation.Load(s, g)
	if err != nil {
		return nil, nil, err
	}
	r, err := s.Record(g)
	if err != nil {
		return nil, nil, err
	}
	text, err := s.Manifest(r)
	if err != nil {
		return nil, nil, err
	}
	m := &plan.Manifest{}
	if err := json.Unmarshal(text, m); err != nil || m.Size != base.Recipe.Size {
		return nil, nil, fmt.Errorf("read generation %d: its manifest does not describe the disk", g.Number)
	}
	return base, m, nil
}
