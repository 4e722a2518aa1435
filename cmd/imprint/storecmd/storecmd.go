// Package storecmd has the commands of imprint store, which copy store items between stores, and look at stores.
package storecmd

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"imprint/closure"
	"imprint/cmd/imprint/family"
	"imprint/image/disk"
	"imprint/image/source"
	"imprint/internal/diag"
	"imprint/internal/remote"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	family.World
	Stdin       io.Reader
	Raw, RawErr io.Writer // for streams, and for commands that the user talks to

	Epoch    func() (int64, error)
	Scratch  func() string // directory for what streams unpack to
	Env      func(string) string
	Environ  func() []string
	Remote   remote.Options // for caches on other machines
	Image    func(ctx context.Context, name string) (*disk.Disk, io.Closer, error)
	UID, GID int
	Root     func() bool // reports whether the user has all IDs

	Watch func(doing string, done func() int64, total int64) // shows progress
	Clear func()                                             // ends that
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
	spool    *os.File // what was on standard input; nil before it is read
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
	}
	below := []*cobra.Command{
		m.copy(), m.realise(), m.info(), m.closure(), m.verify(), m.export(), m.importing(), m.dumpDB(), m.loadDB(), m.roots(), m.gc(), m.shell(),
	}
	for _, sub := range below {
		sub.Flags().StringVar(&m.flavor, "flavor", "", "nix or guix; by default the one that the `store` has")
		sub.Flags().StringArrayVar(&m.keys, "trusted-public-key", nil, "take only items of binary caches and of streams of Guix that this `key` has signed, NAME:BASE64 or (public-key …); several may be named")
		sub.Flags().BoolVar(&m.unsigned, "unsigned", false, "take items of binary caches on servers without a signature")
	}
	return w.Of(c, below...)
}

// flavors returns the flavors that a store may have, of which a directory shows one.
func (m *commands) flavors(store string) ([]closure.Flavor, error) {
	if m.flavor == "" {
		if other, ok := closure.Nix.OtherAt(store); ok {
			if _, both := other.OtherAt(store); !both {
				return []closure.Flavor{other}, nil
			}
		}
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
	case errors.As(err, &missing):
		return eachMissing(problem.Position, missing)
	case errors.As(err, &invalid), errors.As(err, &inside):
		problem.Text = err.Error()
	default:
		return err
	}
	return diag.List{problem}
}

// eachMissing returns a problem for each line of an error.
func eachMissing(at diag.Position, err *closure.MissingError) (list diag.List) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		list = append(list, diag.Problem{Position: at, Text: line})
	}
	return list
}
