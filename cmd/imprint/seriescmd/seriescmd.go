// Package seriescmd has the commands of imprint series, and what imprint build does with --series: finished images are kept as generations, with
// tags and roll-back.
package seriescmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"imprint/cmd/imprint/envcmd"
	"imprint/internal/diag"
	"imprint/internal/environment"
	"imprint/internal/series"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	Stdout, Stderr io.Writer // escaped

	StoreFlag func(*cobra.Command)          // adds --build-store
	StoreDir  func() string                 // the directory of the build store; "" if there is no place for it
	Files     func(FileNames) (*Set, error) // creates the files that a disk is written to
	Stage     func(name, text string)
	Done      func() // ends the display of progress

	Usage   func(error) error // makes an error one of the command line
	Differs error             // what diff returns
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
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return w.Usage(fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()))
			}
			return w.Usage(fmt.Errorf("%s takes a command", c.CommandPath()))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	for _, sub := range []*cobra.Command{w.list(), w.show(), w.diff(), w.tag(), w.rollBack(), w.build(), w.remove(), w.gc(), w.verify()} {
		w.StoreFlag(sub)
		c.AddCommand(sub)
	}
	return c
}

// arguments checks the number of arguments.
func (w World) arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if least <= len(args) && len(args) <= most {
			return nil
		}
		return w.Usage(fmt.Errorf("%s takes %s, not %q", c.CommandPath(), what, args))
	}
}

// ErrNoStore reports that there is no place for the build store.
var ErrNoStore = errors.New("there is no place for the build store: name one (--build-store DIR), or set XDG_CACHE_HOME or HOME")

// open opens the build store.
func (w World) open() (*series.Store, *environment.Store, error) {
	dir := w.StoreDir()
	if dir == "" {
		return nil, nil, w.Usage(ErrNoStore)
	}
	env, err := envcmd.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	return series.Open(env.Contents()), env, nil
}

// suggesting adds what is there to an error about what is not.
func suggesting(err error) error {
	var missing *series.UnknownError
	if !errors.As(err, &missing) {
		return err
	}
	_, number := strconv.Atoi(missing.Name)
	if near := diag.Nearest(missing.Name, missing.Known); near != "" && number != nil {
		return fmt.Errorf("%w: did you mean %q?", err, near)
	}
	if len(missing.Known) > 0 {
		return fmt.Errorf("%w: there is %s", err, strings.Join(missing.Known, ", "))
	}
	return fmt.Errorf("%w: imprint build --series makes one", err)
}

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

func (w World) print(format string, args ...any) error {
	_, err := fmt.Fprintf(w.Stdout, format, args...)
	return err
}

// document prints a value as JSON.
func (w World) document(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return w.print("%s\n", text)
}

func line(text string) string { return visible.Line(text) }
