// Package inspect describes a disk image as a value: its partitions, file systems, boot menus and stores. The value is printed as text or
// JSON, and drawn as a page.
package inspect

import (
	"context"
	"fmt"

	"imprint/bootloader/menu"
	"imprint/closure"
	"imprint/image/disk"
)

// A Report describes an image. Sizes and offsets are in bytes.
type Report struct {
	Size       int64    `json:"size"`
	SectorSize int64    `json:"sectorSize"`
	Table      string   `json:"table,omitempty"` // "gpt" or "mbr"
	ID         string   `json:"id,omitempty"`    // GUID of the disk, or signature of one with an MBR
	Regions    []Region `json:"regions"`
}

// A Region is a partition, or a file system that is a file of another region.
type Region struct {
	Number     int         `json:"number,omitempty"` // in the partition table
	Name       string      `json:"name,omitempty"`
	Shown      string      `json:"-"`            // its name in messages
	In         string      `json:"in,omitempty"` // the region that it is a file of, by its name in messages
	Path       string      `json:"path,omitempty"`
	Type       string      `json:"type,omitempty"`
	PartUUID   string      `json:"partUUID,omitempty"`
	Attributes uint64      `json:"attributes,omitempty"`
	Offset     int64       `json:"offset"` // in the image; of a file, 0
	Size       int64       `json:"size"`
	Filesystem string      `json:"filesystem,omitempty"`
	Error      string      `json:"error,omitempty"` // why it, or a menu or store in it, cannot be read
	Volume     *Volume     `json:"volume,omitempty"`
	Boot       []BootEntry `json:"boot,omitempty"`
	Stores     []*Store    `json:"stores,omitempty"`
	Deep       *Deep       `json:"deep,omitempty"`
}

// A Volume is the file system of a region.
type Volume struct {
	Label       string   `json:"label,omitempty"`
	ID          string   `json:"id,omitempty"`
	Size        int64    `json:"size"` // bytes of the region that the file system spans
	BlockSize   int64    `json:"blockSize,omitempty"`
	FreeBytes   int64    `json:"freeBytes"`
	Inodes      int64    `json:"inodes,omitempty"`
	FreeInodes  int64    `json:"freeInodes,omitempty"`
	Features    []string `json:"features,omitempty"`
	NeedsReplay bool     `json:"needsReplay,omitempty"` // its journal holds changes that were not read
}

// A BootEntry is a line of a boot menu.
type BootEntry struct {
	File       string   `json:"file"`
	Title      string   `json:"title,omitempty"`
	Version    string   `json:"version,omitempty"`
	Loader     string   `json:"loader,omitempty"` // of a unified kernel image: the stub and its version
	Kernel     string   `json:"kernel,omitempty"`
	Initrd     []string `json:"initrd,omitempty"`
	DeviceTree string   `json:"deviceTree,omitempty"`
	Cmdline    string   `json:"cmdline,omitempty"`
}

// Options select what else is computed.
type Options struct {
	Deep  bool // reads all file maps, and the contents of files of equal size; the disk must have been opened with its store items
	Graph bool // computes the closure size of every item
}

// Of describes an opened image. Faults of a region are in its Error.
func Of(ctx context.Context, d *disk.Disk, o Options) (*Report, error) {
	r := &Report{Size: d.Size, SectorSize: d.SectorSize, Table: d.Table, ID: d.ID}
	for _, region := range d.Regions {
		described, err := describe(ctx, region, o)
		if err != nil {
			return nil, fmt.Errorf("inspect %v: %w", region, err)
		}
		r.Regions = append(r.Regions, described)
	}
	return r, ctx.Err()
}

func describe(ctx context.Context, r *disk.Region, o Options) (Region, error) {
	d := Region{
		Number: r.Number, Name: r.Name, Shown: r.String(), Path: r.Path, Type: r.Type, PartUUID: r.PartUUID, Attributes: r.Attributes,
		Offset: r.Offset, Size: r.Size, Filesystem: r.Kind,
	}
	if r.In != nil {
		d.In = r.In.String()
	}
	d.fail(r.Err)
	if r.Volume == nil {
		return d, nil
	}
	v, s := r.Volume, r.Volume.Stats
	d.Volume = &Volume{
		Label: v.Label, ID: v.ID, Size: v.Size, BlockSize: s.BlockSize, FreeBytes: s.FreeBytes, Inodes: s.Inodes, FreeInodes: s.FreeInodes,
		Features: v.Features, NeedsReplay: v.NeedsReplay,
	}
	d.readMenus(r)
	if err := d.readStores(ctx, r, o); err != nil || !o.Deep {
		return d, err
	}
	var err error
	d.Deep, err = deep(ctx, v)
	return d, err
}

// fail adds a reason why something in the region cannot be read.
func (d *Region) fail(err error) {
	switch {
	case err == nil:
	case d.Error == "":
		d.Error = err.Error()
	default:
		d.Error += "; " + err.Error()
	}
}

func (d *Region) readMenus(r *disk.Region) {
	entries, problems := menu.Read(r.Volume.Tree)
	for _, e := range entries {
		d.Boot = append(d.Boot, BootEntry(e))
	}
	for _, p := range problems {
		d.fail(fmt.Errorf("boot menu %q: %w", p.File, p.Err))
	}
}

func (d *Region) readStores(ctx context.Context, r *disk.Region, o Options) error {
	stores, err := r.Stores(ctx)
	d.fail(err)
	for _, store := range stores {
		d.readStore(ctx, store, o)
		store.Close()
	}
	return ctx.Err()
}

func (d *Region) readStore(ctx context.Context, from *closure.TreeStore, o Options) {
	store, err := storeOf(ctx, from, o)
	if err != nil {
		d.fail(err)
		return
	}
	d.Stores = append(d.Stores, store)
	if n := from.UnreadLog(); n > 0 {
		d.fail(fmt.Errorf("store database: %d bytes of its write-ahead log were not read", n))
	}
}
