// Package crosscheck compares what imprint reads in an image with what other libraries read: the partition table, names, kinds, sizes and
// contents of files, and the rows of a store's database. A disagreement is a fault that names both readings.
package crosscheck

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/crosscheck/opinion"
	"imprint/image/disk"
	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/partition"
)

// An Asker gets a second opinion from another process. It returns an error if that process fails or crashes.
type Asker func(ctx context.Context, f *os.File, r opinion.Request) (*opinion.View, error)

// A Checker compares an image.
type Checker struct {
	Ask    Asker
	Report func(disk.Fault)
	Warn   func(text string) // called for each file or structure without a second opinion
	Seen   int               // files, partitions and store items that were compared
}

// Disk compares the image d, opened from the file f. It returns an error only if imprint itself cannot read the image.
func (c *Checker) Disk(ctx context.Context, d *disk.Disk, f *os.File) error {
	c.table(ctx, d, f)
	for _, r := range d.Regions {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Volume == nil {
			continue
		}
		if err := c.filesystem(ctx, d, r, f); err != nil {
			return err
		}
		if err := c.databases(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// ask returns a second opinion. Without one it warns and returns nil.
func (c *Checker) ask(ctx context.Context, what string, f *os.File, r opinion.Request) *opinion.View {
	v, err := c.Ask(ctx, f, r)
	if err != nil && ctx.Err() == nil {
		c.Warn(fmt.Sprintf("%s: no second opinion: %v", what, err))
	}
	return v
}

const object = "cross-check"

// table compares the partitions of a GPT.
func (c *Checker) table(ctx context.Context, d *disk.Disk, f *os.File) {
	if d.Table != partition.GPT && d.Table != partition.HybridMBR {
		return
	}
	v := c.ask(ctx, "partition table", f, opinion.Request{Kind: partition.GPT, Size: d.Size, Sector: d.SectorSize})
	if v == nil {
		return
	}
	wrong := func(what string, ours, theirs any) {
		text := fmt.Sprintf("%s: imprint reads %v, %s reads %v", what, ours, v.Library, theirs)
		c.Report(disk.Fault{Fault: fault.Fault{Offset: -1, Object: object, Text: text}})
	}
	if v.Disk != d.ID {
		wrong("disk GUID", d.ID, v.Disk)
	}
	ours, theirs := partitions(d), map[int]opinion.Partition{}
	for _, p := range v.Partitions {
		p.Type = typeName(p.Type)
		theirs[p.Number] = p
	}
	for _, number := range numbers(ours, theirs) {
		c.Seen++
		if a, b := ours[number], theirs[number]; a != b {
			wrong(fmt.Sprintf("partition %d", number), describe(a), describe(b))
		}
	}
}

// typeName is the name of a partition type as regions have it.
func typeName(guid string) string {
	id, err := repro.ParseUUID(guid)
	if err != nil {
		return guid
	}
	return partition.TypeOf(id)
}

func describe(p opinion.Partition) string {
	if p.Number == 0 {
		return "none"
	}
	return fmt.Sprintf("%q, type %s, UUID %s, %d bytes at %d, attributes %#x", p.Name, p.Type, p.UUID, p.Size, p.Offset, p.Attributes)
}

// partitions returns the partitions of the table as imprint reads them.
func partitions(d *disk.Disk) map[int]opinion.Partition {
	list := map[int]opinion.Partition{}
	for _, p := range d.Entries {
		list[p.Number] = opinion.Partition{
			Number: p.Number, Name: p.Name, Type: p.Type, UUID: p.PartUUID, Offset: p.Offset, Size: p.Size, Attributes: p.Attributes,
		}
	}
	return list
}

func numbers(a, b map[int]opinion.Partition) (all []int) {
	for n := range a {
		all = append(all, n)
	}
	for n := range b {
		if _, known := a[n]; !known {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// filesystem compares the tree of a region.
func (c *Checker) filesystem(ctx context.Context, d *disk.Disk, r *disk.Region, f *os.File) error {
	if r.In != nil || !opinion.Reads(r.Kind) {
		return nil
	}
	ours, skip, err := view(ctx, r.Volume.Tree)
	if err != nil {
		return err
	}
	v := c.ask(ctx, r.String(), f, opinion.Request{
		Kind: r.Kind, Offset: r.Offset, Size: r.Size, Sector: d.SectorSize, Bits: r.Volume.Stats.FATBits, Skip: skip,
	})
	if v == nil || v.Root == nil {
		return ctx.Err()
	}
	none := 0
	m := match{
		none: func(path, text string) {
			if none++; none == 1 {
				c.Warn(fmt.Sprintf("%v: %q: no second opinion: %s: %.300q", r, path, v.Library, text))
			}
		},
		library: v.Library, loose: opinion.Loose(r.Kind), folds: opinion.Folds(r.Kind),
		report: func(path, text string) {
			c.Report(disk.Fault{Region: r.String(), Fault: fault.Fault{Offset: -1, Path: path, Object: object, Text: text}})
		},
	}
	m.dir("/", ours, v.Root)
	c.Seen += m.seen
	if none > 1 {
		c.Warn(fmt.Sprintf("%v: no second opinion about %d more files and directories", r, none-1))
	}
	return nil
}

// databases compares the databases of the stores in a region.
func (c *Checker) databases(ctx context.Context, r *disk.Region) error {
	stores, _ := r.Stores(ctx) // verify reports errors
	var failed error
	for _, store := range stores {
		failed = cmp.Or(failed, c.database(ctx, r, store))
		store.Close()
	}
	return cmp.Or(failed, ctx.Err())
}

func (c *Checker) database(ctx context.Context, r *disk.Region, store *closure.TreeStore) error {
	infos, err := store.Infos(ctx)
	if err != nil {
		return ctx.Err()
	}
	v := c.ask(ctx, r.String()+": store database", store.DatabaseFile(), opinion.Request{Kind: "database", Sector: 1})
	if v == nil {
		return ctx.Err()
	}
	rows := map[string]string{}
	for _, i := range v.Items {
		rows[i.Path] = fmt.Sprintf("%s, %d bytes, references %s", i.Hash, i.Size, strings.Join(i.References, " "))
	}
	wrong := func(path, ours, theirs string) {
		c.Report(disk.Fault{Region: r.String(), Fault: fault.Fault{
			Offset: -1, Path: path, Object: object, Text: fmt.Sprintf("registration: imprint reads %s, %s reads %s", ours, v.Library, theirs),
		}})
	}
	for _, info := range infos {
		c.Seen++
		path := info.Path.String()
		if ours, theirs := rowOf(info), rows[path]; ours != theirs {
			wrong(path, ours, cmp.Or(theirs, "none"))
		}
		delete(rows, path)
	}
	for path, theirs := range rows {
		wrong(path, "none", theirs)
	}
	return nil
}

// rowOf formats an item like the rows of opinion.Item.
func rowOf(i *closure.Info) string {
	var refs []string
	for _, p := range i.References {
		refs = append(refs, p.String())
	}
	return fmt.Sprintf("sha256:%x, %d bytes, references %s", i.NARHash[:], i.NARSize, strings.Join(refs, " "))
}
