package image

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"imprint/image/mbr"
	"imprint/internal/repro"
	"imprint/partition"
)

// identify chooses every identifier of the image. They derive from the seed: by default a digest of all that makes the image what it
// is, so that equal inputs give equal identifiers and other ones differ.
func (r *resolver) identify(context.Context) error {
	seed, err := r.seed()
	if err != nil {
		return err
	}
	p := r.plan
	p.Seed = seed
	p.DiskGUID, p.Signature = given(r.d.UUID, seed.UUID("disk")), seed.Uint32("disk/signature")
	for i, d := range r.d.Partition {
		guid, mbrType, err := r.partitionType(d.Type)
		if err != nil {
			return err
		}
		name := "partition/" + d.Name
		p.Partitions = append(p.Partitions, &Partition{
			Key: fmt.Sprintf("partition[%d]", i), Type: d.Type, TypeGUID: guid, MBRType: mbrType, Attributes: attributes(d.Flags),
			PartUUID: r.partUUID(d, seed.UUID(name+"/partuuid")),
			Align:    d.Align.Bytes, Offset: d.Offset.Bytes, FreeShare: d.Free.Percent,
			Inside: d.Inside, Path: d.Path, Volatile: d.Volatile != nil && *d.Volatile, Modified: modified(seed.Uint32(name + "/modified")),
			Spec: partition.Spec{
				Name: d.Name, Filesystem: d.Filesystem, Engine: d.Engine, Features: d.Features, Label: cmp.Or(d.Label, defaultLabel(r.d.Name, d)),
				UUID: given(d.UUID, seed.UUID(name+"/uuid")), Serial: serial(d.UUID, seed.Uint32(name+"/serial")),
				HashSeed: seed.UUID(name + "/hash-seed"), Epoch: p.Epoch, SectorSize: p.SectorSize,
				Size: d.Size.Bytes, MinSize: d.MinSize.Bytes, Free: d.Free.Bytes,
				Scratch: cmp.Or(r.in.OutDir, "."),
			},
		})
	}
	if r.d.Table == tableMBR {
		for i, part := range p.Partitions {
			part.MBRUUID = mbr.UUID(p.Signature, i+1)
		}
	}
	return nil
}

// partUUID is that of an entry of our partition table; that of an ISO is xorriso's.
func (r *resolver) partUUID(d PartitionDescription, derived repro.UUID) repro.UUID {
	if r.d.Format == formatISO {
		return repro.UUID{}
	}
	return given(d.PartUUID, derived)
}

// partitionType is the type of a partition in the table that the disk has.
func (r *resolver) partitionType(name string) (guid repro.UUID, mbrType byte, err error) {
	switch {
	case name == "": // no entry of a table
		return repro.UUID{}, 0, nil
	case r.d.Table == tableMBR:
		mbrType, err = partition.MBRType(name)
		return guid, mbrType, err
	}
	guid, err = partition.TypeGUID(name, r.d.Arch)
	return guid, 0, err
}

// defaultLabel is the label of a file system that is given none: the image's name and the partition's, as far as the file system has
// room and letters for them.
func defaultLabel(image string, d PartitionDescription) string {
	switch d.Filesystem {
	case filesystemExt4:
		return joinLabel(image, d.Name, 16)
	case filesystemFAT:
		return strings.Map(func(c rune) rune {
			if 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
				return c
			}
			return '_'
		}, strings.ToUpper(joinLabel(image, d.Name, 11)))
	}
	return ""
}

// joinLabel cuts the first part rather than the second, which tells the partitions of an image apart.
func joinLabel(image, name string, room int) string {
	for len(name) > room {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	image = image[:min(len(image), max(0, room-1-len(name)))]
	if image == "" {
		return name
	}
	return image + "-" + name
}

func attributes(flags []Flag) (bits uint64) {
	for _, f := range flags {
		bits |= 1 << f.Bit
	}
	return bits
}

// given is the identifier that the description gives, or the derived one.
func given(text string, derived repro.UUID) repro.UUID {
	id, err := repro.ParseUUID(text)
	if err != nil {
		return derived
	}
	return id
}

// serial is the same for a FAT volume, whose identifier is written "XXXX-XXXX".
func serial(text string, derived uint32) uint32 {
	b, err := hex.DecodeString(strings.Replace(text, "-", "", 1))
	if err != nil || len(b) != 4 {
		return derived
	}
	return binary.BigEndian.Uint32(b)
}

// seed is what all identifiers of the image derive from.
func (r *resolver) seed() (repro.Seed, error) {
	switch {
	case r.d.Unique:
		return repro.SeedOf("unique\n" + r.in.Unique), nil
	case r.d.Seed != "":
		return repro.SeedOf("seed\n" + r.d.Seed), nil
	}
	identity, err := r.identity()
	if err != nil {
		return repro.Seed{}, err
	}
	h := sha256.New()
	h.Write(identity)
	items := slices.Clone(r.plan.Items)
	slices.SortFunc(items, func(a, b *Item) int { return strings.Compare(a.Info.Path.String(), b.Info.Path.String()) })
	for _, item := range items {
		fmt.Fprintf(h, "%v %x\n", item.Info.Path, item.Info.NARHash)
	}
	return repro.Seed(h.Sum(nil)), nil
}

// identity is the description as JSON, without what does not reach the image: where things lie on the host gives way to digests of
// what lies there, comments and the order of keys are gone, and a key that is absent or empty is not there.
func (r *resolver) identity() ([]byte, error) {
	d := *r.d
	d.Source, d.Epoch = nil, &r.plan.Epoch
	d.Closure = slices.Clone(d.Closure)
	for i, c := range d.Closure {
		d.Closure[i].Roots = nil
		for _, root := range r.roots[c.Name] {
			d.Closure[i].Roots = append(d.Closure[i].Roots, root.String())
		}
	}
	if len(r.inputs) > 0 {
		d.Boot.EFIBinary = r.loaderDigest()
	}
	for key, source := range map[string]*string{keySign: &d.Boot.SignKey, keyCertificate: &d.Boot.SignCert} {
		if in := r.hosts[key]; in != nil {
			*source = in.digest
		}
	}
	if d.Table == tableGPT {
		d.Table = "" // as it was before there was another
	}
	d.Raw = slices.Clone(d.Raw)
	for i := range d.Raw {
		d.Raw[i].Source = r.hosts[fmt.Sprintf("raw[%d].source", i)].digest
	}
	d.Boot.Entry = slices.Clone(d.Boot.Entry)
	for i := range d.Boot.Entry {
		r.pinnedEntry(&d.Boot.Entry[i], r.entryKey(i))
	}
	d.Partition = slices.Clone(d.Partition)
	for i := range d.Partition {
		r.pinned(&d.Partition[i], fmt.Sprintf("partition[%d]", i))
	}
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var value any
	numbers := json.NewDecoder(bytes.NewReader(plain))
	numbers.UseNumber()
	if err := numbers.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(prune(value))
}

// pinned puts digests in the place of a partition's host paths.
func (r *resolver) pinned(p *PartitionDescription, key string) {
	digest := func(key, path string) string {
		if in := r.hosts[key]; in != nil {
			return in.digest
		}
		return path
	}
	p.Content = digest(key+".content", p.Content)
	p.File, p.Tree = slices.Clone(p.File), slices.Clone(p.Tree)
	for i := range p.File {
		p.File[i].Source = digest(fmt.Sprintf("%s.file[%d].source", key, i), p.File[i].Source)
	}
	for i := range p.Tree {
		p.Tree[i].Source = digest(fmt.Sprintf("%s.tree[%d].source", key, i), p.Tree[i].Source)
	}
}

// pinnedEntry does so for the kernel and the initrds of an entry that are the host's; those of the store are pinned with their items.
func (r *resolver) pinnedEntry(e *EntryDescription, key string) {
	if in := r.hosts[key+".kernel"]; in != nil {
		e.Kernel = Template(in.digest)
	}
	if in := r.hosts[key+".devicetree"]; in != nil {
		e.DeviceTree = Template(in.digest)
	}
	e.Initrd = slices.Clone(e.Initrd)
	for k := range e.Initrd {
		if in := r.hosts[fmt.Sprintf("%s.initrd[%d]", key, k)]; in != nil {
			e.Initrd[k] = Template(in.digest)
		}
	}
}

// loaderDigest stands for what the loader is made of: a file from a closure is pinned with its item.
func (r *resolver) loaderDigest() string {
	var digests []string
	for _, path := range slices.Sorted(maps.Keys(r.inputs)) {
		if sum, ok := r.plan.pins[r.inputs[path]]; ok {
			digests = append(digests, hex.EncodeToString(sum[:]))
		} else {
			digests = append(digests, "closure")
		}
	}
	return strings.Join(digests, "+")
}

// prune leaves out what is zero, so that a key that a later version adds does not change the identity of an image that has it not.
func prune(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			if x = prune(x); x == nil {
				delete(v, k)
			} else {
				v[k] = x
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	case json.Number:
		if v == "0" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return value
}
