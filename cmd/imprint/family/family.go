// Package family has what families of commands share (imprint env, cache, series and store): arguments, output, and the place of the build store.
package family

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"imprint/internal/objects"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A World is what every family uses of the program.
type World struct {
	Stdout, Stderr io.Writer // escaped

	StoreFlag func(*cobra.Command) // adds --build-store
	StoreDir  func() string        // the directory of the build store; "" if there is no place for it
	Usage     func(error) error    // makes an error one of the command line
}

// ErrNoStore reports that there is no place for the build store.
var ErrNoStore = errors.New("there is no place for the build store: name one (--build-store DIR), or set XDG_CACHE_HOME or HOME")

// Of completes a command that only has commands below it.
func (w World) Of(c *cobra.Command, below ...*cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return w.Usage(fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()))
		}
		return w.Usage(fmt.Errorf("%s takes a command", c.CommandPath()))
	}
	c.RunE = func(*cobra.Command, []string) error { return nil } // else Args is not called
	for _, sub := range below {
		w.StoreFlag(sub)
		c.AddCommand(sub)
	}
	return c
}

// Arguments checks the number of arguments; most is -1 for any.
func (w World) Arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if least <= len(args) && (len(args) <= most || most < 0) {
			return nil
		}
		return w.Usage(fmt.Errorf("%s takes %s, not %q", c.CommandPath(), what, args))
	}
}

// Store returns the directory of the build store.
func (w World) Store() (dir string, err error) {
	if dir = w.StoreDir(); dir == "" {
		err = w.Usage(ErrNoStore)
	}
	return dir, err
}

// Print prints to standard output.
func (w World) Print(format string, args ...any) error {
	_, err := fmt.Fprintf(w.Stdout, format, args...)
	return err
}

// Document prints a value as JSON.
func (w World) Document(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return w.Print("%s\n", text)
}

// Verify runs a verification of a part of the build store, which returns how many objects it has read, and prints a line for each fault.
func (w World) Verify(ctx context.Context, verify func(context.Context, func(error)) (int, error)) error {
	faults := 0
	n, err := verify(ctx, func(fault error) {
		faults++
		w.Print("%s\n", visible.Line(fault.Error()))
	})
	switch {
	case err != nil:
		return err
	case faults > 0:
		return fmt.Errorf("%s in the build store: %w", units.Count(faults, "fault"), objects.ErrDamaged)
	}
	return w.Print("verified %s\n", units.Count(n, "object"))
}
