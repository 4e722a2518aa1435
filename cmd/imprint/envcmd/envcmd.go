// Package envcmd has the commands of imprint env, which keep environments: stacks of layers with tags.
package envcmd

import (
	"io"
	"os"
	"path/filepath"

	"imprint/cmd/imprint/family"
	"imprint/internal/environment"
	"imprint/internal/objects"
	"imprint/internal/sandbox"
	"imprint/internal/series"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A World is what the commands use of the program.
type World struct {
	family.World
	Stdin       io.Reader
	Raw, RawErr io.Writer // for commands that the user talks to

	Epoch    func() (int64, error)
	Scratch  func() string // directory for what archives unpack to
	Env      func(string) string
	Root     func() bool // reports whether the user may give files to others
	UID, GID int

	Differs error // what diff returns
}

const help = `env keeps environments: named stacks of layers of files, from which descriptions make images ([[partition.layer]] with env). A layer
is a set of changes to the layers below: files with modes, owners, times and extended attributes, and what is gone. Each is
stored once in the build store, as is each content, whichever environments have it.

A tag leads to a stack. Every environment has the tags root, its first layer, and current, on which add-layer and run put the
next one; roll-back moves current one layer down, and tag sets tags of your own. A stack is identified by its pin: a chain of
hashes, so that a stack can be checked without its layers. Commands that take a TAG take a pin, too, or its first 7 digits.`

// Command returns imprint env.
func Command(w World) *cobra.Command {
	c := &cobra.Command{
		Use:   "env",
		Short: "Keep layers of files in environments, with tags and roll-back",
		Long:  help,
		Example: `  imprint env init web rootfs.tar.zst
  imprint env add-layer web files/
  imprint env run web --save -- apt-get install -y nginx
  imprint env tag web stable
  imprint env roll-back web`,
	}
	return w.Of(c, w.init(), w.addLayer(), w.list(), w.show(), w.tag(), w.rollBack(), w.diff(), w.mount(), w.unmount(), w.run(), w.remove(), w.gc(), w.verify())
}

// open opens the build store.
func (w World) open() (*environment.Store, error) {
	dir, err := w.Store()
	if err != nil {
		return nil, err
	}
	return Open(dir)
}

// Identity returns who the user is to a sandbox.
func Identity() sandbox.Identity {
	i := sandbox.Identity{Root: sandbox.HasIDs(os.Getuid()), UID: os.Getuid(), GID: os.Getgid()}
	if !i.Root {
		i.Sub = sandbox.Subordinates(i.UID)
	}
	return i
}

// Open opens the layers of a build store. What series of images lead to is in the same place, and counts when something is removed.
func Open(dir string) (*environment.Store, error) { return OpenPruned(dir, 0) }

// OpenPruned is Open for a look at what could be removed if series had only their last generations, and those with tags; 0 stands for all.
func OpenPruned(dir string, last int) (*environment.Store, error) {
	s, err := environment.Open(dir)
	if err == nil {
		s.Share(func(live map[objects.Digest]bool) error { return series.Open(s.Contents()).Live(live, last) })
	}
	return s, err
}

// explained adds what is there to an error about what is not.
func explained(err error) error { return family.Suggesting(err, "imprint env init") }

// find opens the build store and an environment in it.
func (w World) find(name string) (*environment.Store, *environment.Environment, error) {
	s, err := w.open()
	if err != nil {
		return nil, nil, err
	}
	e, err := s.Environment(name)
	return s, e, explained(err)
}

// short is a digest as it is shown.
func short(d objects.Digest) string { return objects.Text(d)[:12] }

func line(name string) string { return visible.Line(name) }

// The directories of package workspace.
func trees(s *environment.Store) string { return filepath.Join(s.Dir(), "trees") }
func runs(s *environment.Store) string  { return filepath.Join(s.Dir(), "runs") }
