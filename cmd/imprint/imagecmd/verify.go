package imagecmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"imprint/container"
	"imprint/image/disk"
	"imprint/image/write"
	"imprint/internal/fault"
	"imprint/internal/pieces"
	"imprint/internal/units"
	"imprint/internal/verity"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (w World) verify() *cobra.Command {
	var explain int64
	var second bool
	var blocks string
	c := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check a disk image: its partition table, file systems, and the store inside",
		Long: `verify reads a disk image of imprint or of another tool, without root, mounts or a VM. It checks the partition table and its
backup, every structure of ext4, FAT, EROFS and ISO 9660 file systems, including nested ones, and the
store inside: every registered item is there with the NAR hash and size that the database has, nothing else is in the
store, references are valid, and GC roots reach every item. The files that boot menus name must be there, and the store items that
their command lines name. If the manifest IMAGE.json is beside the image, the digest of all its bytes is compared, too. verify
prints a line for each fault and exits with 5 if there is one. File systems that it cannot read are listed at the end.

The image may be raw, qcow2, VMDK, OVA, VHD or VHDX, of any program, or zstd, gzip or xz as build writes them; or an archive for Google
Compute Engine, which is expanded to a file for temporary files. The same holds for the other commands that read images. The format is
recognised by content.

With --cross-check other libraries read the partition table, ext4, FAT and ISO 9660 file systems and store databases, in
processes of their own, and must see the same as imprint. They read raw images only: others are expanded for them,
to a file for temporary files. With --bmap the checksums in a block map are compared, that bmaptool would compare.`,
		Example: "  imprint verify web.raw\n  imprint verify --explain 1049600 web.raw",
		Args:    w.Exactly(1, "one IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			d, f, err := w.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if c.Flags().Changed("explain") {
				text := visible.Line(d.Explain(explain))
				if cover := d.Cover(c.Context(), explain); cover != "" {
					text += "; " + cover
				}
				_, err := fmt.Fprintln(w.Stdout, text)
				return err
			}
			var also []check
			if second {
				raw, err := w.rawOf(c.Context(), d, f)
				if err != nil {
					return fmt.Errorf("expand %s: %w", args[0], err)
				}
				defer raw.Close()
				also = append(also, w.byOthers(raw))
			}
			if blocks != "" {
				also = append(also, byMap(blocks))
			}
			return w.Verify(c.Context(), args[0], d, also...)
		},
	}
	c.Flags().Int64Var(&explain, "explain", 0, "only print what the byte at this `offset` belongs to")
	c.Flags().BoolVar(&second, "cross-check", false, "compare with what other libraries read, too")
	c.Flags().StringVar(&blocks, container.BlockMap, "", "compare with the checksums in the block map `FILE`, too")
	c.Flags().BoolVar(w.JSON, "json", false, "print events as lines of JSON")
	return c
}

// rawOf returns a file with the raw disk: the image itself, or a copy without a name.
func (w World) rawOf(ctx context.Context, d *disk.Disk, f *os.File) (*os.File, error) {
	if packed, ok := d.Image().(*pieces.Image); ok {
		return w.expanded(ctx, packed)
	}
	return f, nil
}

// Verify verifies an image, as verify does, with the manifest beside the file of that name, and also by further checks.
func (w World) Verify(ctx context.Context, name string, d *disk.Disk, also ...check) error {
	start, faults := time.Now(), 0
	report := func(f disk.Fault) {
		faults++
		if *w.JSON {
			w.Event(map[string]any{"event": "fault", "region": f.Region, "offset": f.Offset, "path": f.Path, "object": f.Object, "fault": f.Text})
			return
		}
		fmt.Fprintln(w.Stdout, visible.Line(f.String()))
	}
	err := d.Verify(ctx, report)
	second := ""
	for _, check := range also {
		if err == nil {
			var said string
			said, err = check(ctx, d, report)
			second += said
		}
	}
	if err == nil {
		err = w.verifyManifest(ctx, name, d, report)
	}
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if *w.JSON {
		w.verified(d, faults, seconds)
	}
	if faults > 0 {
		return fmt.Errorf("%s: %s: %w", name, units.Count(faults, "fault"), write.ErrMismatch)
	}
	if !*w.JSON {
		fmt.Fprintf(w.Stdout, "%s: %s, no faults%s, in %.1f s\n", name, units.Count(len(d.Regions), "region"), second, seconds)
		for _, region := range d.Unread() {
			fmt.Fprintf(w.Stdout, "  not checked: %s, %s\n", visible.Line(region.String()), cmp.Or(region.Kind, "no file system that imprint knows"))
		}
	}
	return w.Failed()
}

// verified is the end of verify as events.
func (w World) verified(d *disk.Disk, faults int, seconds float64) {
	for _, region := range d.Unread() {
		w.Event(map[string]any{"event": "unchecked", "region": region.String(), "kind": region.Kind})
	}
	w.Event(map[string]any{"event": "verified", "regions": len(d.Regions), "faults": faults, "seconds": seconds})
}

// verifyManifest compares the digest of the whole image with that in the manifest beside it, if there is one.
func (w World) verifyManifest(ctx context.Context, name string, d *disk.Disk, report func(disk.Fault)) error {
	m, err := ReadManifest(name + ".json")
	if err != nil {
		return err
	}
	if m == nil {
		if _, err := os.Lstat(name + ".json"); err == nil {
			w.Log.Warnf("%s.json is not a readable manifest: the image is not compared with it", name)
		}
		return nil
	}
	if m.Digest == "" { // built with --no-digest
		return nil
	}
	differs := func(text string) { report(disk.Fault{Fault: fault.Fault{Offset: -1, Object: "manifest", Text: text}}) }
	if format := container.Named(cmp.Or(m.FileFormat, container.Raw)); format == nil || format.DiskSize(m.Size) != d.Size && m.Size != d.Size {
		differs(fault.Mismatch("size", d.Size, m.Size))
		return nil
	}
	if !strings.HasPrefix(m.Digest, verity.Name) {
		w.Log.Warnf("%s.json has a digest of another kind, %.20q: the image is not compared with it", name, m.Digest)
		return nil
	}
	digest, err := write.Digest(ctx, d.Image(), m.Size)
	if err == nil && digest != m.Digest {
		differs(fault.Mismatch("digest", digest, m.Digest))
	}
	return err
}
