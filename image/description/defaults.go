package description

import (
	"cmp"
	"slices"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/image/description/language"
	"imprint/internal/units"
	"imprint/partition"
)

// WithDefaults returns a copy of a parsed description in which absent keys have their defaults. Written stays false for them,
// so that later stages can still tell what the user wrote.
func (d *Image) WithDefaults() *Image {
	c := *d
	defaultTo(&c.Format, FormatRaw)
	defaultTo(&c.SectorSize, language.SectorSize)
	defaultTo(&c.Store.Flavor, closure.Nix.Name)
	defaultTo(&c.Table, partition.GPT)
	defaultTo(&c.Boot.Loader, c.loader().Name)
	defaultTo(&c.Boot.Timeout, language.Timeout)
	if c.loader().ReadsStore {
		defaultTo(&c.Boot.CopyKernel, c.copiesKernel())
	}
	c.Source.Items = slices.Clone(c.Source.Items)
	if len(c.Source.Items) == 0 {
		k := c.Source.Key.Below("[0]")
		c.Source.Items = []Source{{Key: k, Path: Text{Key: k.Below(".path")}, Registration: Text{Key: k.Below(".registration")}}}
	}
	for i := range c.Source.Items {
		if !c.Source.Items[i].Own().Written() {
			defaultTo(&c.Source.Items[i].Path, "/")
		}
	}
	c.Partition.Items = slices.Clone(c.Partition.Items)
	for i := range c.Partition.Items {
		c.Partition.Items[i].defaults(c.Name.V)
	}
	if root := c.Root(); root != nil && c.isISO() {
		defaultTo(&root.Volatile, true)
	}
	return &c
}

// defaults fills in the absent keys of a partition. image is the name of the image, from which labels derive.
func (p *Partition) defaults(image string) {
	defaultTo(&p.Size, Size{Auto: true})
	defaultTo(&p.Align, Size{Bytes: units.Grain})
	row := partition.Named(p.Filesystem.V)
	if row == nil {
		return
	}
	defaultTo(&p.Engine, row.DefaultEngine())
	if row.WholeDisk {
		defaultTo(&p.Label, row.DefaultLabel(image, p.Name.V))
	}
}

// defaultTo sets the value of a key if it is absent.
func defaultTo[T any](v *Value[T], value T) {
	if !v.Written() {
		v.V = value
	}
}

// isISO reports whether the image is an ISO 9660 image.
func (d *Image) isISO() bool { return d.Format.V == FormatISO }

// table returns the word for the partition table that systems read: of a hybrid one the GPT.
func (d *Image) table() string {
	switch {
	case d.isISO():
		return partition.ISO
	case d.isHybrid():
		return partition.GPT
	}
	return cmp.Or(d.Table.V, partition.GPT)
}

// loader returns the row of the boot loader. Without one, or with an unknown one, it is the row "none".
func (d *Image) loader() *bootloader.Loader {
	loader, err := bootloader.Named(d.Boot.Loader.V)
	if err != nil {
		loader, _ = bootloader.Named("")
	}
	return loader
}

// copiesKernel reports whether kernels and initrds are copied by default: if there is a partition for them, and if the loader
// cannot read the file system with the store.
func (d *Image) copiesKernel() bool {
	if d.isISO() {
		return false
	}
	m := d.Machine()
	return hasBootPartition(m) || !d.loader().CanRead(m)
}

// hasBootPartition reports whether there is a partition for boot files.
func hasBootPartition(m bootloader.Machine) bool {
	return slices.ContainsFunc(m.Partitions, func(p bootloader.Partition) bool { return p.Type == "esp" || p.Type == "xbootldr" })
}

// Machine returns the disk as a boot loader sees it, before identifiers are chosen. Its partitions are those of the
// description, in the same order. A partition inside another one has no number.
func (d *Image) Machine() bootloader.Machine {
	m := bootloader.Machine{Arch: d.Arch.V, Table: d.table(), Graphics: d.Boot.Background.Written()}
	m.Foreign = slices.ContainsFunc(d.Boot.Entry.Items, func(e Entry) bool { return e.Plain.V })
	numbers, root := d.Numbers(), d.Root()
	for i := range d.Partition.Items {
		p := &d.Partition.Items[i]
		b := bootloader.Partition{
			Name: p.Name.V, Type: cmp.Or(partition.TypeName(p.Type.V), p.Filesystem.V), Filesystem: p.Filesystem.V, Store: len(p.Closures.Items) > 0, Apart: p.StoreMount() != "",
			Root: p == root, Number: numbers[i],
		}
		m.Partitions = append(m.Partitions, b)
	}
	return m
}

// StoreMount returns where a partition with closures is mounted, if that is not the root: paths in it do not begin with that. It is "" for all
// other partitions.
func (p *Partition) StoreMount() string {
	if len(p.Closures.Items) == 0 || p.Mount.V == "/" {
		return ""
	}
	return p.Mount.V
}

// Root returns the partition that is mounted as root: the one with a key volatile, or the one with the store, or the tree of
// an ISO, or the one with fstab, or the one of that type, or the only one whose file system keeps owners; nil if there is none of these.
func (d *Image) Root() *Partition {
	for _, is := range []func(*Partition) bool{
		func(p *Partition) bool { return p.Volatile.Written() },
		func(p *Partition) bool { return len(p.Closures.Items) > 0 && p.StoreMount() == "" },
		isWholeDisk,
		func(p *Partition) bool { return p.FStab.V },
		func(p *Partition) bool { return partition.IsRoot(p.Type.V) },
	} {
		for i := range d.Partition.Items {
			if p := &d.Partition.Items[i]; is(p) {
				return p
			}
		}
	}
	return d.onlySystem()
}

// onlySystem returns the only partition whose file system keeps owners, as that of a system has to, unless it has a type that says that it is
// something else.
func (d *Image) onlySystem() (only *Partition) {
	for i := range d.Partition.Items {
		p := &d.Partition.Items[i]
		switch row := partition.Named(p.Filesystem.V); {
		case row == nil || !row.Owners:
		case only != nil:
			return nil
		default:
			only = p
		}
	}
	if only == nil || only.Inside.Written() || partition.MountPoint(only.Type.V) != "" {
		return nil
	}
	return only
}

// isWholeDisk reports whether the partition is the tree of an ISO.
func isWholeDisk(p *Partition) bool {
	row := partition.Named(p.Filesystem.V)
	return row != nil && row.WholeDisk
}
