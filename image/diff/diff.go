// Package diff compares disk images, from each byte that differs to its cause: the partition, then the field of a structure, or the file,
// then the store item that the file is in, and the GC root that needs the item.
//
// Images of any layout are compared as values: partitions by name, file systems as trees, stores by their databases. Where the layouts
// agree, bytes are compared first, so that equal parts only cost reading them, and holes nothing. Bytes that differ outside of the files
// already reported are explained by the readers of their format.
package diff

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"imprint/image/disk"
	"imprint/internal/chain"
)

// A Class says what kind of thing has changed.
type Class string

// The classes. Identifiers, times and derived bytes seldom matter to people who compare two builds, so they have their own.
const (
	Layout    Class = "layout"    // of the disk: sizes, offsets, types
	Store     Class = "store"     // items, their registration and GC roots
	File      Class = "file"      // outside of store items
	Structure Class = "structure" // of a file system, partition table or boot code
	ID        Class = "id"
	Time      Class = "time"
	Derived   Class = "derived" // checksums, counters and indexes of other bytes
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
	Offset int64        `json:"offset"`            // of the first byte that differs, in the region or file; -1 if there is none
	Bytes  int64        `json:"bytes,omitempty"`   // number of bytes that differ, or were added or removed
	Item   string       `json:"item,omitempty"`    // the store item that the object is or belongs to
	Chain  *chain.Chain `json:"because,omitempty"` // from a GC root to the item
}

// Options select what is compared.
type Options struct {
	// Values compares what the images hold and not their bytes: items by their registration instead of their contents.
	Values bool
	// Unknown lists the regions and nested file systems of B, by name, whose contents are not known yet.
	Unknown []string
	// Bounds means that sizes and offsets of B are upper bounds, so they are not compared.
	Bounds bool
}

// Compare returns all changes from A to B: first those of the disk itself, then those of its regions in order. Of a structure that differs
// in thousands of fields, only the first are listed, and the other bytes counted. It returns an error if an image cannot be read.
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

// once drops changes of identifiers that are also reported as fields of a structure.
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
	same    bool    // bytes can be compared: both have the same partitions at the same places, or little differs
	little  bool    // only a few bytes differ
	differ  []spans // of the disk
	items   items
}

func (c *comparison) add(change Change) { c.changes = append(c.changes, change) }

// field adds a change if two values differ.
func (c *comparison) field(class Class, region, object, name string, a, b any) {
	if a != b {
		c.add(Change{Class: class, Region: region, Object: object, What: Changed, Field: name, A: shown(a), B: shown(b), Offset: -1})
	}
}

// size adds a change if two sizes or offsets differ, unless those of B are only bounds.
func (c *comparison) size(region, object, name string, a, b int64) {
	if !c.Bounds {
		c.field(Layout, region, object, name, a, b)
	}
}

// shown formats a value for a change. Texts from an image are quoted.
func shown(v any) string {
	if text, ok := v.(string); ok {
		return strconv.Quote(text)
	}
	return fmt.Sprint(v)
}

// disk compares the properties of the disk itself.
func (c *comparison) disk() error {
	a, b := c.a, c.b
	c.size("", "disk", "size", a.Size, b.Size)
	c.field(Layout, "", "disk", "sector size", a.SectorSize, b.SectorSize)
	c.field(Layout, "", "disk", "partition table", a.Table, b.Table)
	c.field(ID, "", "disk", "id", a.ID, b.ID)
	return nil
}
