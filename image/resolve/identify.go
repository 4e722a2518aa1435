package resolve

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/identity"
	"imprint/image/mbr"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/repro"
	"imprint/partition"
)

// identify starts the plan: it computes the seed, and derives every identifier from it.
func (w world) identify(hosts host.Inputs, store *closures.Union, boot *boot) (*plan.Plan, error) {
	seed, err := w.seed(hosts, store, boot)
	if err != nil {
		return nil, err
	}
	d := w.d
	p := &plan.Plan{
		Key: d.Partition.Key, Name: d.Name.V, Arch: d.Arch.V, Format: d.Format.V, Table: d.Table.V, SectorSize: d.SectorSize.V, Epoch: w.epoch,
		Loader: boot.loader.Name, Seed: seed, DiskGUID: given(d.UUID.V, seed.UUID("disk")), Signature: seed.Uint32("disk/signature"),
		Closures: store.Closures, Items: store.Items,
		MadeOf:  w.identity(hosts, store, boot).Ingredients(),
		SizeKey: d.Size.Key, Size: d.Size.V.Bytes, Multiple: d.Multiple.V.Bytes, EntriesAt: d.EntriesAt.V.Bytes, MBRActive: d.MBRActive.V,
	}
	if w.in.Earlier != nil {
		p.After = w.in.Earlier.Digest
	}
	numbers := d.Numbers()
	for i, described := range d.Partition.Items {
		part, err := w.partition(described, p)
		if err != nil {
			return nil, err
		}
		part.Number = numbers[i]
		if part.Inside == "" && p.Table == partition.MBR {
			part.MBRUUID = mbr.UUID(p.Signature, part.Number)
		}
		p.Partitions = append(p.Partitions, part)
	}
	return p, nil
}

// seed returns the seed of all identifiers: what the description says, that of the image before, or a digest of everything that makes the image what
// it is.
func (w world) seed(hosts host.Inputs, store *closures.Union, boot *boot) (repro.Seed, error) {
	switch {
	case w.d.Unique.V:
		return repro.SeedOf("unique\n" + w.in.Unique), nil
	case w.d.Seed.V != "":
		return repro.SeedOf("seed\n" + w.d.Seed.V), nil
	case w.in.Earlier != nil:
		return w.in.Earlier.Seed, nil
	}
	return w.identity(hosts, store, boot).Seed()
}

// identity holds all that the image is made of.
func (w world) identity(hosts host.Inputs, store *closures.Union, boot *boot) identity.Image {
	return identity.Image{Description: w.d, Epoch: w.epoch, Hosts: hosts, Closures: store.Closures, Items: store.Items, Loader: boot.inputs}
}

// partition returns a partition with its identifiers, without its tree.
func (w world) partition(d description.Partition, p *plan.Plan) (*plan.Partition, error) {
	guid, mbrType, err := w.partitionType(d)
	if err != nil {
		return nil, err
	}
	name := "partition/" + d.Name.V
	label := d.Label.V
	if f := partition.Named(d.Filesystem.V); label == "" && f.DefaultLabel != nil {
		label = f.DefaultLabel(w.d.Name.V, d.Name.V)
	}
	return &plan.Partition{
		Key: d.Key, SizeKey: d.Size.Key, Type: d.Type.V, TypeGUID: guid, MBRType: mbrType, Attributes: attributes(d),
		PartLabel: cmp.Or(d.PartLabel.V, d.Name.V), Grow: d.Grow.V, Verity: d.Verity.V, VerityKey: d.Verity.Key,
		PartUUID: given(d.PartUUID.V, p.Seed.UUID(name+"/partuuid")),
		Align:    d.Align.V.Bytes, Offset: d.Offset.V.Bytes, FreeShare: d.Free.V.Percent,
		Inside: d.Inside.V, Path: d.Path.V, Volatile: d.Volatile.V,
		Spec: partition.Spec{
			Name: d.Name.V, Filesystem: d.Filesystem.V, FATBits: int(d.FAT.V), FATHint: w.d.FATBits(&d), Engine: d.Engine.V, Features: description.Strings(d.Features), Label: label,
			UUID: given(d.UUID.V, p.Seed.UUID(name+"/uuid")), Serial: serial(d.UUID.V, p.Seed.Uint32(name+"/serial")),
			Packing:  partition.Packing{Compressor: d.Compress.V, Level: d.Level.V, Block: d.BlockSize.V.Bytes},
			HashSeed: p.Seed.UUID(name + "/hash-seed"), Modified: modified(p.Seed.Uint32(name + "/modified")),
			Epoch: p.Epoch, SectorSize: p.SectorSize, Size: d.Size.V.Bytes, MinSize: d.MinSize.V.Bytes, Free: d.Free.V.Bytes,
			Scratch: cmp.Or(w.in.OutDir, "."), Stable: w.in.Stable, Earlier: w.in.Earlier.Places(d.Name.V, d.Filesystem.V),
		},
	}, nil
}

// partitionType returns the type of a partition in the image's table. An ISO's tree has the type that others give such
// partitions, and a file of another partition has no type.
func (w world) partitionType(d description.Partition) (guid repro.UUID, mbrType byte, err error) {
	switch name := d.Type.V; {
	case d.Inside.V != "":
	case partition.Named(d.Filesystem.V).WholeDisk:
		guid = partition.BasicData
	case w.d.Table.V == partition.MBR:
		mbrType, err = partition.MBRType(name)
	default:
		guid, err = partition.TypeGUID(name, w.d.Arch.V)
		if shared := d.MBRType; err == nil && shared.Written() {
			mbrType, err = partition.MBRType(shared.V)
		}
	}
	return guid, mbrType, err
}

// checkFATTypes warns about an MBR type for FAT12, FAT16 or FAT32 that differs from the FAT made. Linux ignores it, but
// firmware may not.
func (w world) checkFATTypes(p *plan.Plan) {
	kinds := make(map[*plan.Partition]description.Text)
	for i, part := range p.Partitions {
		if kinds[part] = w.d.Partition.Items[i].Type; p.Table != partition.MBR {
			kinds[part] = w.d.Partition.Items[i].MBRType
		}
	}
	isOne := func(part *plan.Partition) bool { return kinds[part].V != "" && partition.IsFATType(kinds[part].V) }
	if !slices.ContainsFunc(p.Partitions, isOne) {
		return
	}
	l, err := p.Layout(nil) // the width follows from the size
	if err != nil {
		return // reported when the disk is laid out
	}
	for i, part := range p.Partitions {
		bits := partition.StatsOf(l.Regions[i].Maker).FATBits
		var m diag.Mistake
		if bits != 0 && isOne(part) && errors.As(partition.CheckFATType(kinds[part].V, bits), &m) {
			w.warn(kinds[part].Key, m.Text, m.Hint)
		}
	}
}

// checkGrow warns about partitions that do not grow because a later one does.
func (w world) checkGrow() {
	last := ""
	for _, d := range slices.Backward(w.d.Partition.Items) {
		switch {
		case !d.Grow.V:
		case last != "":
			w.warn(d.Grow.Key, "has no effect: "+last+" takes the rest of the disk", "remove it")
		default:
			last = d.Key.Path
		}
	}
}

// modified turns a number into a time from 1980 on, within 120 years. The digits of an ISO's modification time serve as its
// UUID, so they must differ between images, yet be a plausible time.
func modified(n uint32) int64 {
	const from, span = 315532800, 120 * 365 * 86400
	return from + int64(n)%span
}

// attributes returns the attribute bits of a GPT entry.
func attributes(d description.Partition) (bits uint64) {
	for _, f := range d.Flags.Items {
		bits |= 1 << f.V
	}
	if d.GrowAtBoot.V {
		bits |= 1 << partition.FlagGrowFS
	}
	return bits
}

// given returns the identifier in the description, or the derived one.
func given(text string, derived repro.UUID) repro.UUID {
	id, err := repro.ParseUUID(text)
	if err != nil {
		return derived
	}
	return id
}

// serial is given for the ID of a FAT volume, which is written "XXXX-XXXX".
func serial(text string, derived uint32) uint32 {
	b, err := hex.DecodeString(strings.Replace(text, "-", "", 1))
	if err != nil || len(b) != 4 {
		return derived
	}
	return binary.BigEndian.Uint32(b)
}
