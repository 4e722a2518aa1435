package imagecmd

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"imprint/internal/tree"

	"github.com/spf13/cobra"
)

func (w World) ls() *cobra.Command {
	var long, recursive bool
	c := &cobra.Command{
		Use:   "ls IMAGE[:PARTITION] [PATH]",
		Short: "List a directory in a disk image",
		Long: `ls lists the contents of the directory PATH, or the file itself. PATH may be a pattern, as in descriptions: then ls lists the paths
that match, and not the contents of directories. Without a PARTITION, PATH must be in only one.`,
		Example: "  imprint ls -l web.raw:root /nix/store\n  imprint ls web.raw '/nix/store/*-glibc-*'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			at := "/"
			if len(args) == 2 {
				at = args[1]
			}
			found, f, err := w.find(c.Context(), args[0], at, false)
			if err != nil {
				return err
			}
			defer f.Close()
			if len(found) == 1 && found[0].Path == path.Clean("/"+at) {
				return w.list(found[0], long, recursive)
			}
			return w.listAll(found, long, recursive)
		},
	}
	c.Flags().BoolVarP(&long, "long", "l", false, "with mode, owner, size and time")
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "with everything below")
	return c
}

// list prints a node, or the contents of a directory.
func (w World) list(found tree.Walked, long, recursive bool) error {
	var out strings.Builder
	for at, n := range tree.Walk("", found.Node) {
		depth := strings.Count(at, "/")
		if depth == 0 && found.Node.Kind() == tree.Dir || depth > 1 && !recursive {
			continue
		}
		name := strings.TrimPrefix(at, "/")
		if depth == 0 {
			name = path.Base(found.Path)
		}
		out.WriteString(entry(name, n, long))
	}
	_, err := io.WriteString(w.Stdout, out.String())
	return err
}

// listAll prints the nodes that a pattern has matched, by path.
func (w World) listAll(found []tree.Walked, long, recursive bool) error {
	var out strings.Builder
	for _, one := range found {
		for at, n := range tree.Walk("", one.Node) {
			out.WriteString(entry(one.Path+at, n, long))
			if !recursive {
				break
			}
		}
	}
	_, err := io.WriteString(w.Stdout, out.String())
	return err
}

// entry returns the line of a node.
func entry(name string, n *tree.Node, long bool) string {
	inode := n.Inode()
	if !long || inode.Attr == nil {
		return tree.Shown(name) + "\n"
	}
	a := inode.Attr
	text := fmt.Sprintf("%s %5d:%-5d %12d %s %s", modeText(inode), a.UID, a.GID, inode.Size(),
		time.Unix(a.Mtime.Sec, 0).UTC().Format("2006-01-02 15:04:05"), tree.Shown(name))
	if inode.Kind() == tree.Symlink {
		text += " -> " + tree.Shown(inode.Target())
	}
	return text + "\n"
}

// modeText returns the kind and mode of a node as ls prints them.
func modeText(n *tree.Node) string {
	kind := map[tree.Kind]string{
		tree.File: "-", tree.Dir: "d", tree.Symlink: "l", tree.CharDevice: "c", tree.BlockDevice: "b", tree.Fifo: "p", tree.Socket: "s",
	}[n.Kind()]
	bits := []byte("rwxrwxrwx")
	for i := range bits {
		if n.Attr.Mode>>(8-i)&1 == 0 {
			bits[i] = '-'
		}
	}
	for _, special := range []struct {
		bit   uint16
		at    int
		small byte
	}{{0o4000, 2, 's'}, {0o2000, 5, 's'}, {0o1000, 8, 't'}} {
		if n.Attr.Mode&special.bit == 0 {
			continue
		}
		if bits[special.at] == '-' {
			bits[special.at] = special.small - 'a' + 'A'
		} else {
			bits[special.at] = special.small
		}
	}
	return kind + string(bits)
}

func (w World) cat() *cobra.Command {
	return &cobra.Command{
		Use:     "cat IMAGE[:PARTITION] PATH",
		Short:   "Write a file of a disk image to standard output",
		Long:    "cat writes the file PATH, or all that it matches if it is a pattern, as in descriptions. Links are followed.",
		Example: "  imprint cat web.raw /etc/hostname\n  imprint cat web.raw:esp '/loader/entries/*.conf'",
		Args:    w.Exactly(2, "an IMAGE and a PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			found, f, err := w.find(c.Context(), args[0], args[1], true)
			if err != nil {
				return err
			}
			defer f.Close()
			for _, one := range found {
				n := one.Node.Inode()
				if n.Kind() != tree.File {
					return fmt.Errorf("%s is a %v", tree.Shown(one.Path), n.Kind())
				}
				if err := tree.Copy(c.Context(), w.Raw, n.Blob(), nil); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
