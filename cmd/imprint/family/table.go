package family

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"imprint/internal/diag"
	"imprint/internal/named"

	"github.com/spf13/cobra"
)

// A Table is how a command prints a list: as JSON, or as columns with a row for each.
type Table[T any] struct {
	Header []string // none for columns without names
	Row    func(T) []string
}

// Command completes a command that prints a list, with --json.
func (t Table[T]) Command(w World, c *cobra.Command, list func(args []string) ([]T, error)) *cobra.Command {
	var asJSON bool
	c.RunE = func(_ *cobra.Command, args []string) error {
		all, err := list(args)
		switch {
		case err != nil:
			return err
		case asJSON:
			return w.Document(append([]T{}, all...)) // [] for none
		}
		return t.print(w, all)
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON, with whole digests")
	return c
}

func (t Table[T]) print(w World, all []T) error {
	out := tabwriter.NewWriter(w.Stdout, 0, 0, 2, ' ', 0)
	if t.Header != nil {
		fmt.Fprintln(out, strings.Join(t.Header, "\t"))
	}
	for _, one := range all {
		fmt.Fprintln(out, strings.Join(t.Row(one), "\t"))
	}
	return out.Flush()
}

// Suggesting adds what is there to an error about a name that is not, or else the command that makes one.
func Suggesting(err error, makes string) error {
	var missing *named.UnknownError
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
	return fmt.Errorf("%w: %s makes one", err, makes)
}
