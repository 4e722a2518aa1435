// Package diff compares disk images from the byte to its reason: the partition, then the field of a structure, or the file, then
// the store item that the file is in, and the GC root that needs the item.
//
// Images of any layout are compared as values: partitions by name, file systems as trees, stores by their databases. What lies at the
// same place in both is compared byte by byte before, so that equal parts cost no more than reading them, and holes nothing; every
// byte that differs and is in no file that was named is explained by the readers of its format.
package diff

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"imprint/image/disk"
	"imprint/internal/chain"
)

// A Class is what a change means.
type Class string

// The classes. What is only an identifier, a time or derived from other bytes seldom matters to people who compare two builds.
const (
	Layout    Class = "layout"    // of the disk: sizes, offsets, types
	Store     Class = "store"     // items, their registration and GC roots
	File      Class = "file"      // outside of store items
	Structure Class = "structure" // of a file system, partition table or boot code
	ID        Class = "id"
	Time      Class = "time"
	Derived   Class = "derived" // checksums, and what counts or indexes something else
	Unused    Class = "unused"  // free space, tails after files, padding
)

// Classes lists all classes, those that matter most first.
var Classes = []Class{Layout, Store, File, Structure, ID, Time, Derived, Unused}

// What happened to an object.
const (
	Added   = "added"   // B has it
	Removed = "removed" // only A has it
	Changed = "changed"
)

// A Change is one difference.
type Change struct {
	Class  Class        `json:"class"`
	Region string       `json:"region,omitempty"` // as the disk names it; "" for the disk
	Object string       `json:"object"`           // a path, a store item, or the structure as its format calls it
	What   string       `json:"what"`             // added, removed or changed
	Field  string       `json:"field,omitempty"`  // of the object: "content", "mode", "s_uuid"
	A      string       `json:"a,omitempty"`      // the value in A
	B      string       `json:"b,omitempty"`
	Offset int64        `json:"offset"`            // of the first byte that differs, in the region or file; -1 where there is none
	Bytes  int64        `json:"bytes,omitempty"`   // how many differ, or the size of what was added or removed
	Item   string       `json:"item,omitempty"`    // the store item that the object is or belongs to
	Chain  *chain.Chain `json:"because,omitempty"` // from a GC root to the item
}

// Options say what is compared.
type Options struct {
	// Values compares what the images hold and not how their bytes lie: items by their registration instead of their contents.
	Values bool
	// Unknown are the names of regions of B, and of files of regions that would be ones, whose contents are not known yet.
	Unknown []string
	// Bounds says that sizes and offsets of B are upper bounds, which are not compared.
	Bounds bool
}

// Compare returns all changes from A to B: in the order of the disk, those of the disk first. A structure that differs in more than some
// thousand fields is counted and not listed. The error means that reading failed.
func Compare(ctx context.Context, a, b *disk.Disk, o Options) ([]Change, error) {
	c := &comparison{Options: o, ctx: ctx, a: a, b: b}
	for _, step := range []func() error{c.bytes, c.disk, c.stores, c.regions, c.outside} {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.once()
	if len(c.changes) == 0 && len(c.differ) > 0 { // in what was not understood
		c.add(Change{Class: Structure, Object: "disk", What: Changed, Field: "content", Offset: c.differ[0].Off})
	}
	c.causes()
	return c.changes, nil
}

// once drops identifiers of regions and disks whose very field was found, too.
func (c *comparison) once() {
	found := map[string]bool{}
	for _, change := range c.changes {
		if change.Class == ID && change.Offset >= 0 {
			found[change.Region] = true
		}
	}
	c.changes = slices.DeleteFunc(c.changes, func(change Change) bool {
		region := change.Region
		if change.Object == "partition" {
			region = "" // whose table has it
		}
		return change.Class == ID && change.Offset < 0 && found[region]
	})
}

// A comparison is the work of [Compare].
type comparison struct {
	Options
	ctx     context.Context
	a, b    *disk.Disk
	changes []Change
	same    bool    // bytes were compared: the partitions of both lie at the same places, or little differs
	little  bool    // only a few bytes differ
	differ  []spans // of the disk
	items   items
}

func (c *comparison) add(change Change) { c.changes = append(c.changes, change) }

// field adds a change of a value, if it is one.
func (c *comparison) field(class Class, region, object, name string, a, b any) {
	if a != b {
		c.add(Change{Class: class, Region: region, Object: object, What: Changed, Field: name, A: shown(a), B: shown(b), Offset: -1})
	}
}

// size adds a change of a size or an offset, where both are known.
func (c *comparison) size(region, object, name string, a, b int64) {
	if !c.Bounds {
		c.field(Layout, region, object, name, a, b)
	}
}

// shown is a value as a change has it: texts of an image are quoted.
func shown(v any) string {
	if text, ok := v.(string); ok {
		return strconv.Quote(text)
	}
	return fmt.Sprint(v)
}

// disk compares what is not in a region.
func (c *comparison) disk() error {
	a, b := c.a, c.b
	c.size("", "disk", "size", a.Size, b.Size)
	c.field(Layout, "", "disk", "sector size", a.SectorSize, b.SectorSize)
	c.field(Layout, "", "disk", "partition table", a.Table, b.Table)
	c.field(ID, "", "disk", "id", a.ID, b.ID)
	return nil
}
