package image

import (
	"slices"

	"imprint/internal/units"
)

// Grain is the alignment of partitions in bytes when nobody asks for another, and the unit that a disk's size is rounded up to.
const Grain = units.MiB

// withDefaults is the description with every key filled in that has a default. It checks nothing.
func withDefaults(d Description) *Description {
	set(&d.Format, "raw")
	set(&d.SectorSize, 512)
	set(&d.Store.Flavor, "nix")
	set(&d.Table, tableGPT)
	set(&d.Boot.Loader, "none")
	if d.Boot.CopyKernel == nil && readsStore(d.Boot.Loader) {
		copied := hasFAT(d) && d.Format != formatISO
		d.Boot.CopyKernel = &copied
	}
	if d.Boot.Timeout == nil {
		d.Boot.Timeout = new(int64)
		*d.Boot.Timeout = 3
	}
	if len(d.Source) == 0 {
		d.Source = []SourceDescription{{Path: "/"}}
	}
	d.Source = slices.Clone(d.Source)
	for i := range d.Source {
		set(&d.Source[i].Path, "/")
	}
	d.Partition = slices.Clone(d.Partition)
	for i := range d.Partition {
		p := &d.Partition[i]
		set(&p.Filesystem, "none")
		if p.Filesystem == "ext4" {
			set(&p.Engine, DefaultEngine)
		}
		if !p.Size.Set {
			p.Size = Size{Auto: true, Set: true}
		}
		if !p.Align.Set {
			p.Align = Size{Bytes: Grain, Set: true}
		}
		if p.Filesystem == filesystemISO && p.Label == "" {
			p.Label = volumeID(d.Name)
		}
	}
	if root := d.root(); root != nil && root.Volatile == nil && d.Format == formatISO {
		volatile := true
		root.Volatile = &volatile
	}
	return &d
}

// set gives a key that is absent its default.
func set[T comparable](key *T, value T) {
	var absent T
	if *key == absent {
		*key = value
	}
}

// DefaultEngine makes ext4 file systems unless a partition asks for another one.
const DefaultEngine = engineNative

// hasFAT tells whether there is a partition for boot files alone.
func hasFAT(d Description) bool {
	return slices.ContainsFunc(d.Partition, func(p PartitionDescription) bool {
		kind := typeName(p.Type)
		return kind == "esp" || kind == "xbootldr"
	})
}

// readsStore tells whether a boot loader can read the file system that a store lies on.
func readsStore(loader string) bool { return loader == loaderGRUB || loader == loaderExtlinux }
