package closures

import (
	"context"
	"errors"
	"fmt"

	"imprint/closure"
	"imprint/closure/daemon"
	"imprint/closure/narinfo"
	"imprint/image/description"
	"imprint/image/source"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// keysOf returns the keys that a source trusts. They were checked with the description.
func keysOf(d description.Source) (keys []narinfo.Key, err error) {
	for _, text := range d.Keys.Items {
		k, err := narinfo.ParseKey(text.V)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// openExport opens an export stream. What is wrong with the file is a problem at its key.
func (s *sources) openExport(ctx context.Context, d description.Source) error {
	keys, err := keysOf(d)
	if err != nil {
		return err
	}
	o := source.ExportOptions{File: s.path(d.Export.V), Scratch: s.Scratch, Flavor: s.Flavor, Keys: keys}
	if name, ok := description.InputOf(d.Export.V); ok {
		if o.File, o.Name = s.Inputs[name], fmt.Sprintf("input %q", name); o.File == "" {
			s.problems = append(s.problems, d.Export.Key.Problem(o.Name+" was not found", ""))
			return nil
		}
	}
	opened, err := source.OpenExport(ctx, o)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case hintOf(err) != "":
		s.problems = append(s.problems, d.Export.Key.Problem(err.Error(), hintOf(err)))
		return nil
	case err != nil:
		s.problems = append(s.problems, d.Export.Key.ProblemOf(err))
		return nil
	}
	s.add(opened, place{key: d.Export.Key})
	return nil
}

// openDaemon connects to a daemon. The connection holds the items.
func (s *sources) openDaemon(ctx context.Context, d description.Source, socket string) error {
	opened, err := source.OpenDaemon(ctx, source.DaemonOptions{Socket: socket, Flavor: s.Flavor, Keep: s.BuildStore, Read: s.reader()})
	if err != nil {
		s.problems = append(s.problems, d.URL.Key.Problem(err.Error(), hintOf(err)))
		return ctx.Err()
	}
	if s.Hold != nil {
		s.Hold(func() { opened.Close() })
	}
	s.add(opened, place{key: d.URL.Key, prefix: opened.Prefix(), held: s.Hold != nil})
	return nil
}

// hintOf returns the hint of an error about a source, "" if it has none.
func hintOf(err error) string {
	var invalid *source.InvalidError
	errors.As(err, &invalid)
	if invalid == nil {
		return ""
	}
	return invalid.Hint
}

// openCache opens a binary cache. Without one there need be no build store.
func (s *sources) openCache(ctx context.Context, d description.Source) error {
	if socket, ok, _ := daemon.Address(d.URL.V); ok {
		return s.openDaemon(ctx, d, socket)
	}
	o := source.CacheOptions{
		URL: d.URL.V, Flavor: s.Flavor, Keep: s.BuildStore, Remote: s.Remote, Whole: s.Whole,
		Scratch: s.Scratch, NoKeep: s.NoKeep, NotKept: s.NotKept,
	}
	if s.Streams {
		o.Compares = func(n *tree.Node) bool { return closure.Compares(n, s.linked()) }
	}
	var err error
	if o.Keys, err = keysOf(d); err != nil {
		return err
	}
	if s.BuildStore == "" {
		return diag.List{d.URL.Key.Problem("there is no directory to keep what is fetched", "name one (--build-store DIR), or set XDG_CACHE_HOME or HOME")}
	}
	opened, err := source.OpenCache(ctx, o)
	var invalid *source.InvalidError
	if errors.As(err, &invalid) {
		s.problems = append(s.problems, d.URL.Key.Problem(err.Error(), invalid.Hint))
		return nil
	}
	if err == nil {
		s.add(opened, place{key: d.URL.Key})
	}
	return err
}

// blameSource turns an error about what a source says into a problem at its key. It returns all others.
func (s *sources) blameSource(err error) error {
	var invalid *source.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	for i, opened := range s.stores {
		if opened == invalid.Source {
			s.problems = append(s.problems, s.places[i].key.Problem(err.Error(), invalid.Hint))
		}
	}
	return nil
}
