package image

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	p.DiskGUID = given(r.d.UUID, seed.UUID("disk"))
	for i, d := range r.d.Partition {
		guid, err := typeGUID(d.Type, r.d.Arch)
		if err != nil {
			return err
		}
		name := "partition/" + d.Name
		p.Partitions = append(p.Partitions, &Partition{
			Key: fmt.Sprintf("partition[%d]", i), Type: d.Type, TypeGUID: guid, Attributes: attributes(d.Flags),
			PartUUID: r.partUUID(d, seed.UUID(name+"/partuuid")),
			Align:    d.Align.Bytes, Offset: d.Offset.Bytes, FreeShare: d.Free.Percent,
			Inside: d.Inside, Path: d.Path, Volatile: d.Volatile != nil && *d.Volatile, Modified: modified(seed.Uint32(name + "/modified")),
			Spec: partition.Spec{
				Name: d.Name, Filesystem: d.Filesystem, Engine: d.Engine, Features: d.Features, Label: d.Label,
				UUID: given(d.UUID, seed.UUID(name+"/uuid")), Serial: serial(d.UUID, seed.Uint32(name+"/serial")),
				HashSeed: seed.UUID(name + "/hash-seed"), Epoch: p.Epoch, SectorSize: p.SectorSize,
				Size: d.Size.Bytes, MinSize: d.MinSize.Bytes, Free: d.Free.Bytes,
				Scratch: r.in.Scratch,
			},
		})
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

// typeGUID is that of a type, none for what is no entry of a partition table.
func typeGUID(name, arch string) (repro.UUID, error) {
	if name == "" {
		return repro.UUID{}, nil
	}
	return partition.TypeGUID(name, arch)
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
	if d.Table == tableGPT {
		d.Table = "" // as it was before there was another
	}
	d.Raw = slices.Clone(d.Raw)
	for i := range d.Raw {
		d.Raw[i].Source = r.hosts[fmt.Sprintf("raw[%d].source", i)].digest
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
	if err := json.Unmarshal(plain, &value); err != nil {
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
	case float64:
		if v == 0 {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return value
}
