// Package storecmd has the commands of imprint store, which copy store items between stores, and look at stores.
package storecmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"imprint/closure"
	"imprint/image/disk"
	"imprint/image/source"
	"imprint/internal/diag"
	"imprint/internal/remote"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	Stdin       io.Reader
	Stdout      io.Writer // escaped
	Stderr      io.Writer // likewise
	Raw, RawErr io.Writer // for streams, and for commands that the user talks to

	StoreFlag func(*cobra.Command) // adds --build-store
	StoreDir  func() string        // the directory of the build store; "" if there is no place for it
	Epoch     func() (int64, error)
	Scratch   func() string // directory for what streams unpack to
	Env       func(string) string
	Environ   func() []string
	Remote    remote.Options // for caches on other machines
	Image     func(name string) (*disk.Disk, io.Closer, error)
	UID, GID  int
	Root      func() bool // reports whether the user has all IDs

	Watch func(doing string, done func() int64, total int64) // shows progress
	Clear func()                                             // ends that
	Usage func(error) error                                  // makes an error one of the command line
}

const help = `store copies items between stores of Nix or of Guix, and shows what is in one. A STORE is one of

  DIR                  the directory that holds nix/store, or gnu/store: "/" for the store of this machine
  daemon               the daemon of this machine, or unix:///PATH, that with this socket
  file:///DIR          a binary cache in a directory
  s3://BUCKET/PREFIX   a binary cache in a bucket of S3, with ?endpoint=…&region=…&profile=… where needed
  https://HOST/DIR     a binary cache on a server, or http://, which is only read
  export:FILE, -       a stream of nix-store --export in a file, or that of standard input or output
  IMAGE[:PARTITION]    a disk image with a store in it, which is only read

A directory with a nix-cache-info, and a file with a stream, are recognised without a prefix. A ROOT or a PATH is a store path, or a link that
leads to one, such as ./result.

Items of a binary cache on a server have to be signed by a --trusted-public-key, unless there is --unsigned.`

// commands are the commands of one call.
type commands struct {
	World
	flavor   string   // that of --flavor; "" to recognise it
	keys     []string // of --trusted-public-key
	unsigned bool
}

// Command returns imprint store.
func Command(w World) *cobra.Command {
	m := &commands{World: w}
	c := &cobra.Command{
		Use:   "store",
		Short: "Copy store items between stores, and look at stores",
		Long:  help,
		Example: `  imprint store copy --from / --to /mnt ./result
  imprint store copy --from old.raw --to file:///srv/cache --sign-key key ./result
  imprint store closure /mnt ./result
  imprint store gc --dry-run /mnt`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return w.Usage(fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath()))
			}
			return w.Usage(fmt.Errorf("%s takes a command", c.CommandPath()))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	for _, sub := range []*cobra.Command{
		m.copy(), m.realise(), m.info(), m.closure(), m.verify(), m.export(), m.importing(), m.dumpDB(), m.loadDB(), m.roots(), m.gc(), m.shell(),
	} {
		sub.Flags().StringVar(&m.flavor, "flavor", "", "nix or guix; by default the one that the `store` has")
		sub.Flags().StringArrayVar(&m.keys, "trusted-public-key", nil, "take only items of binary caches that this `key` has signed, NAME:BASE64; several may be named")
		sub.Flags().BoolVar(&m.unsigned, "unsigned", false, "take items of binary caches on servers without a signature")
		w.StoreFlag(sub)
		c.AddCommand(sub)
	}
	return c
}

// arguments checks the number of arguments; most is -1 for any.
func (m *commands) arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if least <= len(args) && (len(args) <= most || most < 0) {
			return nil
		}
		return m.Usage(fmt.Errorf("%s takes %s, not %q", c.CommandPath(), what, args))
	}
}

// flavors returns the flavors that a store may have.
func (m *commands) flavors() ([]closure.Flavor, error) {
	if m.flavor == "" {
		return closure.Flavors(), nil
	}
	f, err := closure.FlavorNamed(m.flavor)
	if err != nil {
		return nil, m.Usage(err)
	}
	return []closure.Flavor{f}, nil
}

// of turns an error about what the user has named, or about what is in a store, into a problem with the store.
func of(store string, err error) error {
	var missing *closure.MissingError
	var invalid *closure.InvalidError
	var inside *closure.InsideError
	var wrong *source.InvalidError
	var mistake diag.Mistake
	problem := diag.Problem{Position: diag.Position{File: visible.Line(store)}}
	switch {
	case errors.As(err, &wrong):
		problem = diag.Problem{Text: err.Error(), Hint: wrong.Hint}
	case errors.As(err, &mistake):
		problem.Text, problem.Hint = mistake.Text, mistake.Hint
	case remote.Hint(err) != "":
		problem.Text, problem.Hint = err.Error(), remote.Hint(err)
	case errors.As(err, &missing), errors.As(err, &invalid), errors.As(err, &inside):
		problem.Text = err.Error()
	default:
		return err
	}
	return diag.List{problem}
}

func (m *commands) print(format string, args ...any) error {
	_, err := fmt.Fprintf(m.Stdout, format, args...)
	return err
}

// document prints a value as JSON.
func (m *commands) document(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return m.print("%s\n", text)
}
