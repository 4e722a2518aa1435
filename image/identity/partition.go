package identity

import (
	"imprint/image/description"
)

// partitions describes the partitions.
func (m Image) partitions() (list []record) {
	for _, p := range m.Description.Partition.Items {
		r := record{}
		put(r, "Name", p.Name.V)
		put(r, "Type", p.Type.V)
		put(r, "MBRType", p.MBRType.V)
		put(r, "Number", p.Number.V)
		put(r, "PartLabel", p.PartLabel.V)
		put(r, "Filesystem", p.Filesystem.V)
		put(r, "FAT", p.FAT.V)
		putList(r, "Features", p.Features)
		put(r, "Engine", p.Engine.V)
		put(r, "Compression", p.Compress.V)
		put(r, "CompressionLevel", p.Level.V)
		put(r, "BlockSize", p.BlockSize.V.Bytes)
		putSize(r, "Size", p.Size)
		putSize(r, "MinSize", p.MinSize)
		putRecord(r, "Free", free(p))
		put(r, "Grow", p.Grow.V)
		put(r, "GrowAtBoot", p.GrowAtBoot.V)
		putSize(r, "Offset", p.Offset)
		putSize(r, "Align", p.Align)
		put(r, "Label", p.Label.V)
		put(r, "UUID", p.UUID.V)
		put(r, "PartUUID", p.PartUUID.V)
		putRecords(r, "Flags", flags(p))
		put(r, "Content", m.Hosts.Digest(p.Content.Key, p.Content.V))
		put(r, "Verity", p.Verity.V)
		put(r, "Inside", p.Inside.V)
		put(r, "Path", p.Path.V)
		put(r, "Volatile", p.Volatile.V)
		put(r, "Mount", p.Mount.V)
		put(r, "FStab", p.FStab.V)
		putList(r, "Closures", p.Closures)
		m.contents(r, p)
		list = append(list, r)
	}
	return list
}

// free describes the free space of a partition.
func free(p description.Partition) record {
	r := record{}
	put(r, "Bytes", p.Free.V.Bytes)
	put(r, "Percent", p.Free.V.Percent)
	put(r, "Set", p.Free.Written())
	return r
}

// flags describes the attributes of a partition's entry in the table.
func flags(p description.Partition) (list []record) {
	for _, flag := range p.Flags.Items {
		r := record{}
		put(r, "Bit", int(flag.V))
		list = append(list, r)
	}
	return list
}

// contents describes the content of a partition apart from closures. What a tree excludes is not mentioned: the digest is of
// what remains.
func (m Image) contents(r record, p description.Partition) {
	var dirs, files, links, layers, trees, attrs []record
	for _, d := range p.Dir.Items {
		one := owner(d.Owner())
		put(one, "Path", d.Path.V)
		putMode(one, d.Mode)
		dirs = append(dirs, one)
	}
	for _, f := range p.File.Items {
		one := owner(f.Owner())
		put(one, "Path", f.Path.V)
		put(one, "Text", f.Text.V)
		put(one, "Source", m.Hosts.Digest(f.Source.Key, f.Source.V))
		putMode(one, f.Mode)
		put(one, "Override", f.Override.V)
		files = append(files, one)
	}
	for _, l := range p.Link.Items {
		one := owner(l.Owner())
		put(one, "Path", l.Path.V)
		put(one, "Target", l.Target.V)
		put(one, "Override", l.Override.V)
		links = append(links, one)
	}
	for _, l := range p.Layer.Items { // however it is named
		layers = append(layers, record{"Source": m.Hosts.Digest(l.Key, "")})
	}
	for _, t := range p.Tree.Items {
		one := record{}
		put(one, "Source", m.Hosts.Digest(t.Source.Key, t.Source.V))
		put(one, "Target", t.Target.V)
		put(one, "Override", t.Override.V)
		trees = append(trees, one)
	}
	for _, a := range p.Attr.Items {
		one := owner(a.Owner())
		put(one, "Path", a.Path.V)
		putMode(one, a.Mode)
		putRecord(one, "Set", record{"UID": a.UID.Written(), "GID": a.GID.Written()}) // root's number changes an owner here
		attrs = append(attrs, one)
	}
	putRecords(r, "Dir", dirs)
	putRecords(r, "File", files)
	putRecords(r, "Link", links)
	putRecords(r, "Layer", layers)
	putRecords(r, "Tree", trees)
	putRecords(r, "Attr", attrs)
}

// owner starts a record with an owner. Root's is empty.
func owner(o description.Owner) record {
	r := record{}
	put(r, "UID", o.UID.V)
	put(r, "GID", o.GID.V)
	put(r, "User", o.User.V)
	put(r, "Group", o.Group.V)
	return r
}
