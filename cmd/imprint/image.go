package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"imprint/image/disk"
	"imprint/image/write"
	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/internal/verity"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// openImage opens an image for the commands that read one.
func openImage(name string) (*disk.Disk, io.Closer, error) {
	if info, err := os.Stat(name); err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
		return nil, nil, fmt.Errorf("read %s: an image is read at any offset, which a pipe or a terminal cannot do", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Seek(0, io.SeekEnd) // of a block device too
	if err == nil {
		var d *disk.Disk
		if d, err = disk.Open(imageFile{f}, size); err == nil {
			return d, f, nil
		}
	}
	f.Close()
	return nil, nil, fmt.Errorf("read %s: %w", name, err)
}

func (r *root) verify() *cobra.Command {
	var explain int64
	c := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check a disk image: its partition table, file systems, and the store inside",
		Long: `verify reads a disk image of imprint or of another tool, without root, mounts or a VM. It checks the partition table and its
backup, every structure of ext4, FAT, EROFS and ISO 9660 file systems, also of those that are files of others, and the
store inside: every registered item is there with the NAR hash and size that the database has, nothing else is in the
store, references are valid, and GC roots reach every item. Where the manifest IMAGE.json lies beside the image, the digest of
all its bytes is compared, too. It prints a line for each fault and exits with 5 if there is one.`,
		Example: "  imprint verify web.raw\n  imprint verify --explain 1049600 web.raw",
		Args:    exactly(1, "one IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			d, f, err := openImage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if c.Flags().Changed("explain") {
				_, err := fmt.Fprintln(r.stdout, visible.Line(d.Explain(explain)))
				return err
			}
			return r.runVerify(c.Context(), args[0], d)
		},
	}
	c.Flags().Int64Var(&explain, "explain", 0, "print what the byte at this `offset` belongs to, and check nothing")
	c.Flags().BoolVar(&r.json, "json", false, "write faults as lines of JSON to standard output")
	return c
}

func (r *root) runVerify(ctx context.Context, name string, d *disk.Disk) error {
	start, faults := time.Now(), 0
	report := func(f disk.Fault) {
		faults++
		if r.json {
			r.ui.event(event{"event": "fault", "region": f.Region, "offset": f.Offset, "path": f.Path, "object": f.Object, "fault": f.Text})
			return
		}
		fmt.Fprintln(r.stdout, visible.Line(f.String()))
	}
	err := d.Verify(ctx, report)
	if err == nil {
		err = r.verifyManifest(ctx, name, d, report)
	}
	if err != nil {
		return err
	}
	if faults > 0 {
		return fmt.Errorf("%s: %s: %w", name, units.Count(faults, "fault"), write.ErrMismatch)
	}
	if !r.json {
		fmt.Fprintf(r.stdout, "%s: %s, no faults, in %.1f s\n", name, units.Count(len(d.Regions), "region"), time.Since(start).Seconds())
	}
	return r.ui.failed
}

// verifyManifest compares the image with the manifest that a build has left beside it, if there is one: it knows every byte.
func (r *root) verifyManifest(ctx context.Context, name string, d *disk.Disk, report func(disk.Fault)) error {
	m, err := readManifest(name + ".json")
	if err != nil {
		return err
	}
	if m == nil {
		if _, err := os.Lstat(name + ".json"); err == nil {
			r.log.Warnf("%s.json is no manifest that can be read: the image is not compared with it", name)
		}
		return nil
	}
	if m.Digest == "" { // built with --no-digest
		return nil
	}
	differs := func(text string) { report(disk.Fault{Fault: fault.Fault{Offset: -1, Object: "manifest", Text: text}}) }
	if m.Size != d.Size {
		differs(fault.Mismatch("size", d.Size, m.Size))
		return nil
	}
	if !strings.HasPrefix(m.Digest, verity.Name) {
		r.log.Warnf("%s.json has a digest of another kind, %.20q: the image is not compared with it", name, m.Digest)
		return nil
	}
	digest, err := write.Digest(ctx, d.Image(), d.Size)
	if err == nil && digest != m.Digest {
		differs(fault.Mismatch("digest", digest, m.Digest))
	}
	return err
}

func (r *root) inspect() *cobra.Command {
	return &cobra.Command{
		Use:     "inspect IMAGE",
		Short:   "Show the partitions and file systems of a disk image, and the stores inside",
		Example: "  imprint inspect web.raw",
		Args:    exactly(1, "one IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			d, f, err := openImage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			return r.runInspect(c.Context(), args[0], d)
		},
	}
}

func (r *root) runInspect(ctx context.Context, name string, d *disk.Disk) error {
	fmt.Fprintf(r.stdout, "%s: %s, sectors of %d bytes, table %s %s\n\n", name, units.FormatBytes(d.Size), d.SectorSize, orNone(d.Table), d.ID)
	t := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NR\tREGION\tTYPE\tFILE SYSTEM\tLABEL\tOFFSET\tSIZE\tFREE\tITEMS")
	for _, region := range d.Regions {
		label, free, items := "-", "-", "-"
		if v := region.Volume; v != nil {
			label, free = orNone(v.Label), orDash(v.Stats.FreeBytes, units.FormatBytes(v.Stats.FreeBytes))
		}
		stores, err := itemsOf(ctx, region)
		if err != nil {
			return err
		}
		if stores != "" {
			items = stores
		}
		number := orDash(int64(region.Number), fmt.Sprint(region.Number))
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", number, visible.Line(region.String()), orNone(region.Type), orNone(region.Kind),
			visible.Line(label), region.Offset, units.FormatBytes(region.Size), free, items)
	}
	return t.Flush()
}

// itemsOf returns how many items the stores in a region have, with their flavors; "" without a store. A damaged one is for verify to report.
func itemsOf(ctx context.Context, region *disk.Region) (string, error) {
	stores, _ := region.Stores(ctx)
	var counts []string
	var failed error
	for _, store := range stores {
		paths, err := store.Paths(ctx)
		store.Close()
		failed = errors.Join(failed, err)
		counts = append(counts, fmt.Sprintf("%d %s", len(paths), store.Flavor().Name))
	}
	return strings.Join(counts, ", "), failed
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// find opens what IMAGE[:PARTITION] and a path name. Without a partition, it is the one region with that path.
func (r *root) find(image, at string) (tree.Walked, io.Closer, error) {
	name, partition := image, ""
	if _, err := os.Stat(image); err != nil {
		if i := strings.LastIndexByte(image, ':'); i > 0 {
			name, partition = image[:i], image[i+1:]
		}
	}
	d, f, err := openImage(name)
	if err != nil {
		return tree.Walked{}, nil, err
	}
	fail := func(err error) (tree.Walked, io.Closer, error) {
		f.Close()
		return tree.Walked{}, nil, err
	}
	clean, err := tree.Clean(at)
	if err != nil {
		return fail(usagef("%s: %v", at, err))
	}
	regions := d.Regions
	if partition != "" {
		region, err := d.Find(partition)
		if err != nil {
			return fail(err)
		}
		regions = []*disk.Region{region}
	}
	var found []tree.Walked
	for _, region := range regions {
		if region.Volume == nil {
			if region.Err != nil && partition != "" {
				return fail(region.Err)
			}
			continue
		}
		if n := region.Volume.Tree.Find(clean); n != nil {
			found = append(found, tree.Walked{Path: clean, Node: n})
		}
	}
	switch len(found) {
	case 0:
		return fail(fmt.Errorf("%s: there is no %s", image, tree.Shown(clean)))
	case 1:
		return found[0], f, nil
	}
	return fail(usagef("%s is in several partitions: write %s:PARTITION", tree.Shown(clean), name))
}

func (r *root) ls() *cobra.Command {
	var long, recursive bool
	c := &cobra.Command{
		Use:     "ls IMAGE[:PARTITION] [PATH]",
		Short:   "List a directory in a disk image",
		Example: "  imprint ls -l web.raw:root /nix/store",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			at := "/"
			if len(args) == 2 {
				at = args[1]
			}
			found, f, err := r.find(args[0], at)
			if err != nil {
				return err
			}
			defer f.Close()
			return r.list(found, long, recursive)
		},
	}
	c.Flags().BoolVarP(&long, "long", "l", false, "with mode, owner, size and time")
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "with everything below")
	return c
}

// list prints a node, or what is in it.
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

// entry is the line of a node.
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

// modeText is the kind and mode of a node as ls prints them.
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
		Example: "  imprint cat web.raw /etc/hostname",
		Args:    exactly(2, "an IMAGE and a PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			found, f, err := r.find(args[0], args[1])
			if err != nil {
				return err
			}
			defer f.Close()
			n := found.Node.Inode()
			if n.Kind() != tree.File {
				return fmt.Errorf("%s is a %v", tree.Shown(found.Path), n.Kind())
			}
			return tree.Copy(c.Context(), r.stdout, n.Blob(), nil)
		},
	}
}
