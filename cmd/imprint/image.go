package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"imprint/container"
	"imprint/image/disk"
	"imprint/internal/pattern"
	"imprint/internal/tree"

	"github.com/spf13/cobra"
)

// openImage opens an image for the commands that read one.
func openImage(name string) (*disk.Disk, *os.File, error) { return openWith(name, disk.Open) }

// openWith opens a file and passes it, with its size, to a function that opens images.
func openWith(name string, open func(io.ReaderAt, int64) (*disk.Disk, error)) (*disk.Disk, *os.File, error) {
	if info, err := os.Stat(name); err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
		return nil, nil, fmt.Errorf("read %s: an image is read at any offset, which a pipe or a terminal cannot do", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Seek(0, io.SeekEnd) // works for block devices, too
	if err == nil {
		var d *disk.Disk
		if d, err = openDisk(imageFile{f}, size, open); err == nil {
			return d, f, nil
		}
	}
	f.Close()
	return nil, nil, fmt.Errorf("read %s: %w", name, err)
}

// openDisk opens the disk in a file of any format.
func openDisk(f io.ReaderAt, size int64, open func(io.ReaderAt, int64) (*disk.Disk, error)) (*disk.Disk, error) {
	image, err := container.Open(f, size)
	switch {
	case err != nil:
		return nil, err
	case image != nil:
		return open(image, image.Size())
	}
	return open(f, size)
}

// find opens IMAGE[:PARTITION] and returns the node at a path; with follow, a link at the end of the path is followed. A path that does not
// exist may be a pattern, and stands for all that it matches. Without a PARTITION, only one region may have such paths.
func (r *root) find(image, at string, follow bool) ([]tree.Walked, io.Closer, error) {
	name, partition := image, ""
	if _, err := os.Stat(image); err != nil {
		if i := strings.LastIndexByte(image, ':'); i > 0 {
			name, partition = image[:i], image[i+1:]
		}
	}
	clean, err := tree.Clean(at)
	if err != nil {
		return nil, nil, usagef("%s: %v", at, err)
	}
	d, f, err := openImage(name)
	if err != nil {
		return nil, nil, err
	}
	regions := d.Regions
	if partition != "" {
		region, err := d.Find(partition)
		if err == nil {
			err = region.Err
		}
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		regions = []*disk.Region{region}
	}
	found, in := inRegions(regions, func(r *disk.Region) []tree.Walked { return named(r, clean, follow) })
	if len(in) == 0 {
		found, in = inRegions(regions, func(r *disk.Region) []tree.Walked { return matching(r, clean) })
	}
	if len(in) == 1 {
		return found, f, nil
	}
	f.Close()
	if len(in) == 0 {
		return nil, nil, fmt.Errorf("%s: there is no %s", image, tree.Shown(clean))
	}
	return nil, nil, usagef("%s is in several partitions, %s: write %s:PARTITION", tree.Shown(clean), strings.Join(in, ", "), tree.Shown(name))
}

// inRegions returns the nodes that look finds in regions with a file system, and the names of the regions that have some.
func inRegions(regions []*disk.Region, look func(*disk.Region) []tree.Walked) (found []tree.Walked, in []string) {
	for _, r := range regions {
		if r.Volume == nil {
			continue
		}
		if list := look(r); len(list) > 0 {
			found, in = append(found, list...), append(in, r.String())
		}
	}
	return found, in
}

// named returns the node at a path, if there is one. Links on the way are followed.
func named(r *disk.Region, at string, follow bool) []tree.Walked {
	n := r.Volume.Tree.Find(at)
	if n == nil || follow {
		n = r.Lookup(at)
	}
	if n == nil {
		return nil
	}
	return []tree.Walked{{Path: at, Node: n}}
}

// matching returns the nodes whose paths a pattern matches, without those below others.
func matching(r *disk.Region, text string) (found []tree.Walked) {
	set, err := pattern.Parse([]string{text})
	if err != nil || !strings.ContainsAny(text, `*?[\`) {
		return nil
	}
	for at, n := range r.Volume.Tree.Walk() {
		below := len(found) > 0 && strings.HasPrefix(at, found[len(found)-1].Path+"/")
		if !below && set.Match(at, n.Kind() == tree.Dir) {
			found = append(found, tree.Walked{Path: at, Node: n})
		}
	}
	return found
}

func (r *root) ls() *cobra.Command {
	var long, recursive bool
	c := &cobra.Command{
		Use:   "ls IMAGE[:PARTITION] [PATH]",
		Short: "List a directory in a disk image",
		Long: `ls lists the contents of the directory PATH, or the file itself. PATH may be a pattern, as in descriptions: then ls lists the paths
that match, and not the contents of directories. Without a PARTITION, PATH must be in only one.`,
		Example: "  imprint ls -l web.raw:root /nix/store\n  imprint ls web.raw '/nix/store/*-glibc-*'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			at := "/"
			if len(args) == 2 {
				at = args[1]
			}
			found, f, err := r.find(args[0], at, false)
			if err != nil {
				return err
			}
			defer f.Close()
			if len(found) == 1 && found[0].Path == path.Clean("/"+at) {
				return r.list(found[0], long, recursive)
			}
			return r.listAll(found, long, recursive)
		},
	}
	c.Flags().BoolVarP(&long, "long", "l", false, "with mode, owner, size and time")
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "with everything below")
	return c
}

// list prints a node, or the contents of a directory.
func (r *root) list(w tree.Walked, long, recursive bool) error {
	var out strings.Builder
	for at, n := range tree.Walk("", w.Node) {
		depth := strings.Count(at, "/")
		if depth == 0 && w.Node.Kind() == tree.Dir || depth > 1 && !recursive {
			continue
		}
		name := strings.TrimPrefix(at, "/")
		if depth == 0 {
			name = path.Base(w.Path)
		}
		out.WriteString(entry(name, n, long))
	}
	_, err := io.WriteString(r.stdout, out.String())
	return err
}

// listAll prints the nodes that a pattern has matched, by path.
func (r *root) listAll(found []tree.Walked, long, recursive bool) error {
	var out strings.Builder
	for _, w := range found {
		for at, n := range tree.Walk("", w.Node) {
			out.WriteString(entry(w.Path+at, n, long))
			if !recursive {
				break
			}
		}
	}
	_, err := io.WriteString(r.stdout, out.String())
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

func (r *root) cat() *cobra.Command {
	return &cobra.Command{
		Use:     "cat IMAGE[:PARTITION] PATH",
		Short:   "Write a file of a disk image to standard output",
		Long:    "cat writes the file PATH, or all that it matches if it is a pattern, as in descriptions. Links are followed.",
		Example: "  imprint cat web.raw /etc/hostname\n  imprint cat web.raw:esp '/loader/entries/*.conf'",
		Args:    exactly(2, "an IMAGE and a PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			found, f, err := r.find(args[0], args[1], true)
			if err != nil {
				return err
			}
			defer f.Close()
			for _, w := range found {
				n := w.Node.Inode()
				if n.Kind() != tree.File {
					return fmt.Errorf("%s is a %v", tree.Shown(w.Path), n.Kind())
				}
				if err := tree.Copy(c.Context(), r.raw, n.Blob(), nil); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
