package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imprint/container"
	"imprint/image/crosscheck"
	"imprint/image/disk"
	"imprint/image/inspect"
	"imprint/image/write"
	"imprint/internal/fault"
	"imprint/internal/pieces"
	"imprint/internal/units"
	"imprint/internal/verity"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (r *root) inspect() *cobra.Command {
	var deep bool
	var page string
	c := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show the partitions, file systems, boot entries and stores of a disk image",
		Long: `inspect shows the partitions of a disk image, the file systems in them with features and free space, the entries of boot menus,
and the stores: how many items, their GC roots, and the largest items.

--deep reads more: the number of pieces of files, and the space that hard links in place of equal files would save. --html writes a
self-contained page with the disk to scale, the items of each store as a map, and the references that lead to each.`,
		Example: "  imprint inspect web.raw\n  imprint inspect --html web.html web.raw",
		Args:    exactly(1, "one IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			open := disk.Outline
			if deep {
				open = disk.Open
			}
			d, f, err := openWith(args[0], open)
			if err != nil {
				return err
			}
			defer f.Close()
			report, err := inspect.Of(c.Context(), d, inspect.Options{Deep: deep, Graph: page != ""})
			if err != nil {
				return err
			}
			return r.showReport(args[0], page, report)
		},
	}
	c.Flags().BoolVar(&deep, "deep", false, "read all file maps and equal files, too")
	c.Flags().BoolVar(&r.json, "json", false, "write a JSON document to standard output")
	c.Flags().StringVar(&page, "html", "", "write a page to `FILE`, - for standard output")
	return c
}

// showReport prints a report, or writes it as a page.
func (r *root) showReport(image, page string, report *inspect.Report) error {
	name := filepath.Base(image)
	switch {
	case page == "-":
		return report.Page(r.raw, name)
	case page != "":
		return writePage(page, name, image, report)
	case r.json:
		text, err := json.MarshalIndent(report, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(r.stdout, "%s\n", text)
		}
		return err
	}
	return report.Text(r.stdout, name)
}

// writePage writes a page to a file. It refuses to replace the image.
func writePage(file, name, image string, report *inspect.Report) (err error) {
	if sameFile(file, image) {
		return usagef("--html %s is the image", file)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return report.Page(f, name)
}

func (r *root) verify() *cobra.Command {
	var explain int64
	var second bool
	c := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check a disk image: its partition table, file systems, and the store inside",
		Long: `verify reads a disk image of imprint or of another tool, without root, mounts or a VM. It checks the partition table and its
backup, every structure of ext4, FAT, EROFS and ISO 9660 file systems, including nested ones, and the
store inside: every registered item is there with the NAR hash and size that the database has, nothing else is in the
store, references are valid, and GC roots reach every item. The files that boot menus name must be there, and the store items that
their command lines name. If the manifest IMAGE.json is beside the image, the digest of all its bytes is compared, too. verify
prints a line for each fault and exits with 5 if there is one. File systems that it cannot read are listed at the end.

The image may be raw, qcow2, VMDK, OVA, VHD or VHDX, of any program, or zstd, gzip or xz as build writes them. The same holds for
the other commands that read images. The format is recognised by content.

With --cross-check other libraries read the partition table, ext4, FAT and ISO 9660 file systems and store databases, in
processes of their own, and must see the same as imprint. They read raw images only: others are expanded for them,
to a file for temporary files.`,
		Example: "  imprint verify web.raw\n  imprint verify --explain 1049600 web.raw",
		Args:    exactly(1, "one IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			d, f, err := openImage(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			if c.Flags().Changed("explain") {
				text := visible.Line(d.Explain(explain))
				if cover := d.Cover(c.Context(), explain); cover != "" {
					text += "; " + cover
				}
				_, err := fmt.Fprintln(r.stdout, text)
				return err
			}
			if !second {
				return r.runVerify(c.Context(), args[0], d, nil)
			}
			packed, ok := d.Image().(*pieces.Image)
			if !ok {
				return r.runVerify(c.Context(), args[0], d, f)
			}
			raw, err := r.expanded(c.Context(), packed)
			if err != nil {
				return fmt.Errorf("expand %s: %w", args[0], err)
			}
			defer raw.Close()
			return r.runVerify(c.Context(), args[0], d, raw)
		},
	}
	c.Flags().Int64Var(&explain, "explain", 0, "only print what the byte at this `offset` belongs to")
	c.Flags().BoolVar(&second, "cross-check", false, "compare with what other libraries read, too")
	c.Flags().BoolVar(&r.json, "json", false, "print events as lines of JSON")
	return c
}

// expanded returns a file without a name that holds the disk of a file of another format.
func (r *root) expanded(ctx context.Context, packed *pieces.Image) (*os.File, error) {
	f, err := os.CreateTemp(r.scratch(""), "imprint-")
	if err != nil {
		return nil, err
	}
	if err = errors.Join(os.Remove(f.Name()), container.Expand(ctx, f, packed)); err != nil {
		f.Close()
	}
	return f, err
}

// runVerify verifies an image. If file is not nil, it also compares the image with what other libraries see in the file.
func (r *root) runVerify(ctx context.Context, name string, d *disk.Disk, file *os.File) error {
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
	second := ""
	if err == nil && file != nil {
		second, err = r.crossCheck(ctx, d, file, report)
	}
	if err == nil {
		err = r.verifyManifest(ctx, name, d, report)
	}
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if r.json {
		r.verified(d, faults, seconds)
	}
	if faults > 0 {
		return fmt.Errorf("%s: %s: %w", name, units.Count(faults, "fault"), write.ErrMismatch)
	}
	if !r.json {
		fmt.Fprintf(r.stdout, "%s: %s, no faults%s, in %.1f s\n", name, units.Count(len(d.Regions), "region"), second, seconds)
		for _, region := range d.Unread() {
			fmt.Fprintf(r.stdout, "  not checked: %s, %s\n", visible.Line(region.String()), cmp.Or(region.Kind, "no file system that imprint knows"))
		}
	}
	return r.ui.failed
}

// verified is the end of verify as events.
func (r *root) verified(d *disk.Disk, faults int, seconds float64) {
	for _, region := range d.Unread() {
		r.ui.event(event{"event": "unchecked", "region": region.String(), "kind": region.Kind})
	}
	r.ui.event(event{"event": "verified", "regions": len(d.Regions), "faults": faults, "seconds": seconds})
}

// verifyManifest compares the digest of the whole image with that in the manifest beside it, if there is one.
func (r *root) verifyManifest(ctx context.Context, name string, d *disk.Disk, report func(disk.Fault)) error {
	m, err := readManifest(name + ".json")
	if err != nil {
		return err
	}
	if m == nil {
		if _, err := os.Lstat(name + ".json"); err == nil {
			r.log.Warnf("%s.json is not a readable manifest: the image is not compared with it", name)
		}
		return nil
	}
	if m.Digest == "" { // built with --no-digest
		return nil
	}
	differs := func(text string) { report(disk.Fault{Fault: fault.Fault{Offset: -1, Object: "manifest", Text: text}}) }
	if format := container.Named(cmp.Or(m.FileFormat, container.Raw)); format == nil || format.DiskSize(m.Size) != d.Size {
		differs(fault.Mismatch("size", d.Size, m.Size))
		return nil
	}
	if !strings.HasPrefix(m.Digest, verity.Name) {
		r.log.Warnf("%s.json has a digest of another kind, %.20q: the image is not compared with it", name, m.Digest)
		return nil
	}
	digest, err := write.Digest(ctx, d.Image(), m.Size)
	if err == nil && digest != m.Digest {
		differs(fault.Mismatch("digest", digest, m.Digest))
	}
	return err
}

// readerCommand is the command that [root.crossCheck] runs.
const readerCommand = "reader"

// crossCheck compares an image with what other libraries see in it, and returns a summary for the report.
func (r *root) crossCheck(ctx context.Context, d *disk.Disk, f *os.File, report func(disk.Fault)) (string, error) {
	c := crosscheck.Checker{
		Ask:    crosscheck.Process("/proc/self/exe", "imprint", readerCommand),
		Report: report,
		Warn:   func(text string) { r.log.Warn(text) },
	}
	err := c.Disk(ctx, d, f)
	return fmt.Sprintf(", %s seen alike by other libraries", units.Count(c.Seen, "thing")), err
}

// reader returns the hidden command of the process that asks another library.
func (r *root) reader() *cobra.Command {
	return &cobra.Command{
		Use: readerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return crosscheck.Serve(os.Stdin, r.raw, r.stderr) },
	}
}
