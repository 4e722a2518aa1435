// Package imagecmd has the commands that read images: verify, inspect, ls, cat, extract, diff and why.
package imagecmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"imprint/image/description"
	"imprint/image/plan"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	Stdin          io.Reader // for the process of the cross-check
	Stdout, Stderr io.Writer // escaped
	Raw            io.Writer // standard output for contents
	Log            *logrus.Logger

	JSON   *bool                // what --json sets: errors and the log are in JSON, too
	Event  func(map[string]any) // prints a line of JSON
	Failed func() error         // the first error of Event
	Clear  func()               // ends the display of progress

	Scratch func() string // directory for unnamed files
	Owners  bool          // whether the user may give files to others

	Describes func(*cobra.Command) // adds the flags for a description
	Parse     func(ctx context.Context, file string) (*description.Image, error)
	Resolve   Resolve

	Exactly func(n int, what string) cobra.PositionalArgs // takes n arguments
	Usage   func(error) error                             // makes an error one of the command line
	Differs error                                         // what diff and Compare return for differences
}

// Resolve takes a description, which is in file, through Resolve and Layout. Unnamed files are in outDir, or in the usual place if it is "".
type Resolve func(ctx context.Context, file string, d *description.Image, outDir string) (*plan.Plan, *plan.Layout, error)

// Commands returns the commands, and the hidden one that verify --cross-check runs.
func Commands(w World) []*cobra.Command {
	return []*cobra.Command{w.verify(), w.reader(), w.inspect(), w.ls(), w.cat(), w.extract(), w.diff(), w.why()}
}

// usagef makes an error of the command line.
func (w World) usagef(format string, args ...any) error { return w.Usage(fmt.Errorf(format, args...)) }

// document prints a JSON document.
func (w World) document(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = w.Stdout.Write(append(text, '\n'))
	}
	return err
}
