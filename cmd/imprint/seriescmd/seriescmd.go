// Package seriescmd has the commands of imprint series, and what imprint build does with --series: finished images are kept as generations, with
// tags and roll-back.
package seriescmd

import (
	"strings"

	"imprint/cmd/imprint/envcmd"
	"imprint/cmd/imprint/family"
	"imprint/internal/environment"
	"imprint/internal/series"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	family.World
	Files   func(FileNames) (*Set, error) // creates the files that a disk is written to
	Stage   func(name, text string)
	Done    func() // ends the display of progress
	Differs error  // what diff returns
}

const help = `series keeps finished images: "imprint build --series NAME" keeps each image that it builds as the next generation of a series, in the
build store. A generation is complete: it can be made again when the store that it was built from, or the image itself, is gone. The data
of a store item, and all else, is kept once, whichever generations, series and file systems have it.

A tag leads to a generation. Every series has the tag current, which is the last generation that was built, until roll-back or tag moves
it. Where a generation is named, NAME is the current one, and NAME:TAG one of a tag or a number.`

// Command returns imprint series.
func Command(w World) *cobra.Command {
	c := &cobra.Command{
		Use:   "series",
		Short: "Keep images as generations, with tags and roll-back",
		Long:  help,
		Example: `  imprint build web.toml --series web
  imprint series show web
  imprint series roll-back web
  imprint series build web -o web.raw`,
	}
	return w.Of(c, w.list(), w.show(), w.diff(), w.tag(), w.rollBack(), w.build(), w.remove(), w.gc(), w.verify())
}

// open opens the build store.
func (w World) open() (*series.Store, *environment.Store, error) {
	dir, err := w.Store()
	if err != nil {
		return nil, nil, err
	}
	env, err := envcmd.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	return series.Open(env.Contents()), env, nil
}

// suggesting adds what is there to an error about what is not.
func suggesting(err error) error { return family.Suggesting(err, "imprint build --series") }

// find returns a series and the generation that NAME or NAME:TAG names.
func (w World) find(text string) (*series.Store, *series.Series, series.Generation, error) {
	name, tag, _ := strings.Cut(text, ":")
	s, _, err := w.open()
	if err != nil {
		return nil, nil, series.Generation{}, err
	}
	e, err := s.Series(name)
	if err != nil {
		return nil, nil, series.Generation{}, suggesting(err)
	}
	g, err := e.Find(tag)
	return s, e, g, suggesting(err)
}

func line(text string) string { return visible.Line(text) }
