package envcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"imprint/image/host"
	"imprint/internal/diag"
	"imprint/internal/environment"
	"imprint/internal/hosttree"
	"imprint/internal/inodes"
	"imprint/internal/layer"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/tree"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

const sourceHelp = `A tar archive, which may be compressed with gzip, zstd, xz or bzip2, keeps modes, owners, times, hard links, devices and extended
attributes. Of a directory only names, contents and permissions count, as in images: everything is root's, with the time of
SOURCE_DATE_EPOCH, or 1. With --as-is owners, times, hard links, extended attributes and set-ID bits are those of its files.
Whiteouts are understood: those of OCI images (.wh.NAME, .wh..wh..opq) and those of overlayfs.`

func (w World) init() *cobra.Command {
	var asIs bool
	c := &cobra.Command{
		Use:     "init NAME DIR|TAR",
		Short:   "Make an environment of a directory or a tar archive",
		Long:    "init makes an environment with one layer, the root.\n\n" + sourceHelp,
		Example: "  imprint env init web rootfs.tar.zst\n  imprint env init web --as-is rootfs/",
		Args:    w.Arguments(2, 2, "a NAME and a DIR or TAR"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := w.open()
			if err != nil {
				return err
			}
			if err := named.Check("an environment", args[0]); err != nil {
				return w.Usage(err)
			}
			if _, err := s.Environment(args[0]); err == nil { // before anything is read
				return fmt.Errorf("there is an environment %q already", args[0])
			}
			l, err := w.read(c.Context(), args[1], asIs)
			if err != nil {
				return err
			}
			return adding(c.Context(), s, l, func(d objects.Digest) error {
				pin, err := s.Init(c.Context(), args[0], d)
				if err != nil {
					return err
				}
				return w.Print("%s: %s is %s\n", args[0], short(pin), summary(l))
			})
		},
	}
	c.Flags().BoolVar(&asIs, "as-is", false, "take owners, times, hard links and extended attributes of a directory's files")
	return c
}

func (w World) addLayer() *cobra.Command {
	var asIs bool
	var onto string
	c := &cobra.Command{
		Use:   "add-layer NAME DIR|TAR",
		Short: "Put a layer on the stack of an environment",
		Long: `add-layer puts a layer on the current stack, or on that of another tag, which then leads to the new one. The root never moves:
what is put on it becomes current.

` + sourceHelp,
		Example: "  imprint env add-layer web files/\n  imprint env add-layer web --onto stable layer.tar",
		Args:    w.Arguments(2, 2, "a NAME and a DIR or TAR"),
		RunE: func(c *cobra.Command, args []string) error {
			s, e, err := w.find(args[0])
			if err != nil {
				return err
			}
			below, err := s.Pin(e, onto)
			if err != nil {
				return explained(err)
			}
			l, err := w.read(c.Context(), args[1], asIs)
			if err == nil {
				err = w.fits(s, below, l)
			}
			if err != nil {
				return err
			}
			return adding(c.Context(), s, l, func(d objects.Digest) error {
				pin, tag, err := s.Append(c.Context(), args[0], onto, d)
				if err != nil {
					return explained(err)
				}
				return w.Print("%s: %s is now %s, with %s\n", args[0], tag, short(pin), summary(l))
			})
		},
	}
	c.Flags().BoolVar(&asIs, "as-is", false, "take owners, times, hard links and extended attributes of a directory's files")
	c.Flags().StringVar(&onto, "onto", "", "put the layer on the stack of this `tag` (default current)")
	return c
}

// fits reports a layer that cannot be on a stack, and warns about symlinks there that its directories replace.
func (w World) fits(s *environment.Store, below objects.Digest, l *layer.Layer) error {
	stack, err := s.Stack(below)
	if err != nil {
		return err
	}
	layers, err := environment.Layers(stack, s.Outline)
	if err != nil {
		return err
	}
	t, err := layer.Tree(layers, environment.Implied)
	if err != nil {
		return err
	}
	if links := l.Replaced(t.Find); len(links) > 0 {
		fmt.Fprintf(w.Stderr, "warning: the directory %s replaces a symlink to %s: put the files there, unless this is intended\n",
			tree.Shown(links[0].Path), tree.Shown(links[0].Node.Target()))
	}
	_, err = layer.Tree(append(layers, l), environment.Implied)
	return err
}

// adding adds a layer to the store, and calls then, while nothing of it can be collected.
func adding(ctx context.Context, s *environment.Store, l *layer.Layer, then func(objects.Digest) error) error {
	release, err := s.Use(ctx)
	if err != nil {
		return err
	}
	defer release()
	d, err := s.Add(ctx, l)
	if err != nil {
		return err
	}
	return then(d)
}

// read reads a directory or an archive as a layer.
func (w World) read(ctx context.Context, source string, asIs bool) (*layer.Layer, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if asIs && info.IsDir() {
		return directory(strings.TrimSuffix(source, "/"))
	}
	epoch, err := w.Epoch()
	if err != nil {
		return nil, err
	}
	warn := func(_ diag.Key, text, hint string) { fmt.Fprintf(w.Stderr, "warning: %s: %s\n", line(source), text) }
	l, problems := host.Reader{Epoch: epoch, Scratch: w.Scratch(), Warn: warn}.Layer(ctx, diag.Key{}, source)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var all []error
	for _, p := range problems {
		all = append(all, errors.New(strings.TrimPrefix(p.String(), ": ")))
	}
	return l, errors.Join(all...)
}

// directory reads a directory with everything that a layer can have.
func directory(path string) (*layer.Layer, error) {
	if path == "" {
		path = "/"
	}
	n, err := (&hosttree.Scanner{Special: true}).Read(path + "/.")
	if err != nil {
		return nil, err
	}
	if n, err = inodes.Complete(path+"/.", n); err != nil {
		return nil, err
	}
	l, err := layer.Of([]hosttree.Entry{{Path: "/", Node: n}})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return l, nil
}

// summary says what a layer has.
func summary(l *layer.Layer) string {
	gone := 0
	for _, e := range l.Entries() {
		if e.Node == nil {
			gone++
		}
	}
	text := fmt.Sprintf("%s (%s of content)", units.Count(len(l.Entries())-gone, "path"), units.FormatBytes(l.Size()))
	if gone > 0 {
		text += fmt.Sprintf(" and %s", units.Count(gone, "whiteout"))
	}
	return text
}

// kind is the type of a node in words; "" if there is none.
func kind(n *tree.Node) string {
	if n == nil {
		return ""
	}
	return n.Inode().Kind().String()
}
