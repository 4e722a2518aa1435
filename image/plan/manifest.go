package plan

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"imprint/bootloader"
	"imprint/internal/repro"
	"imprint/partition"
)

// Manifest is what is written beside an image and what `imprint plan --json` prints: a plan with its layout, and after a build
// its digests. Sizes and offsets are JSON numbers of bytes.
type Manifest struct {
	Name       string              `json:"name"`
	Arch       string              `json:"arch,omitempty"`
	Format     string              `json:"format"`
	FileFormat string              `json:"fileFormat,omitempty"` // of the file beside it, if that is not the disk itself
	Size       int64               `json:"size"`                 // of the disk, bytes
	SizeBound  bool                `json:"sizeBound,omitempty"`  // Size is an upper bound, since a host tool has yet to pack a file system
	SectorSize int64               `json:"sectorSize"`
	Epoch      int64               `json:"epoch"` // seconds since 1970
	Seed       string              `json:"seed"`
	Table      string              `json:"table"` // "gpt", "mbr" or "hybrid"
	DiskGUID   string              `json:"diskGUID,omitempty"`
	Signature  string              `json:"diskSignature,omitempty"` // of a disk with an MBR, eight hexadecimal digits
	Loader     string              `json:"loader"`
	After      string              `json:"after,omitempty"` // digest of the image to whose layout this one keeps
	Digest     string              `json:"digest,omitempty"`
	SHA256     string              `json:"sha256,omitempty"`
	Verified   *bool               `json:"verified,omitempty"` // whether every NAR hash and pin was checked; absent in a plan
	Partitions []ManifestPartition `json:"partitions"`
	Inputs     []Input             `json:"inputs,omitempty"`
	Bases      []Base              `json:"bases,omitempty"`
	Closures   []ManifestClosure   `json:"closures,omitempty"`
	Items      []ManifestItem      `json:"items,omitempty"`
	Steps      []Step              `json:"steps,omitempty"`
}

// ManifestPartition is one entry of the partition table.
type ManifestPartition struct {
	Number     int        `json:"number,omitempty"` // in the table; absent for a file of another partition
	Name       string     `json:"name"`
	PartLabel  string     `json:"partLabel,omitempty"` // in a GPT, if it is not the name
	Type       string     `json:"type"`
	TypeGUID   repro.UUID `json:"typeGUID,omitzero"`
	MBRType    byte       `json:"mbrType,omitempty"`
	PartUUID   string     `json:"partUUID,omitempty"`
	Attributes uint64     `json:"attributes,omitempty"`
	Inside     string     `json:"inside,omitempty"`      // the partition that it is a file of
	Path       string     `json:"path,omitempty"`        // of that file
	Verity     string     `json:"verity,omitempty"`      // the partition with its hash tree
	RootHash   string     `json:"rootHash,omitempty"`    // of that tree, 64 hexadecimal digits
	Offset     *int64     `json:"offset,omitempty"`      // bytes; nil if it is not known: in a file system that a host tool makes
	Bound      bool       `json:"offsetBound,omitempty"` // Offset is an upper bound, since the size of what comes before is one
	Size       int64      `json:"size"`                  // bytes
	Exact      bool       `json:"exact"`                 // false: an upper bound, since a host tool has yet to fill it
	Filesystem string     `json:"filesystem"`
	Engine     string     `json:"engine,omitempty"`
	Label      string     `json:"label,omitempty"`
	VolumeID   string     `json:"volumeID,omitempty"`
	BlockSize  int64      `json:"blockSize,omitempty"` // bytes
	Inodes     int64      `json:"inodes,omitempty"`
	FreeInodes int64      `json:"freeInodes,omitempty"`
	FreeBytes  int64      `json:"freeBytes,omitempty"`
	Journal    int64      `json:"journalBytes,omitempty"`
	Items      int        `json:"items,omitempty"`
	Largest    []Large    `json:"largest,omitempty"`
	Digest     string     `json:"digest,omitempty"` // of its bytes, as of a file
}

// ManifestClosure is a named set of roots.
type ManifestClosure struct {
	Name    string   `json:"name"`
	Profile string   `json:"profile,omitempty"`
	Roots   []string `json:"roots"`
}

// ManifestItem is a store item.
type ManifestItem struct {
	Path    string `json:"path"`
	NARHash string `json:"narHash"` // "sha256:" and 64 hexadecimal digits
	NARSize int64  `json:"narSize"` // bytes
}

// Manifest describes the plan with its layout. It names up to largest of the largest things in each partition.
func (p *Plan) Manifest(l *Layout, largest int) *Manifest {
	m := &Manifest{
		Name: p.Name, Arch: p.Arch, Format: p.Format, Size: l.Size, SectorSize: p.SectorSize, Epoch: p.Epoch,
		Seed: p.Seed.String(), After: p.After, Table: p.Table, Loader: p.Loader, Inputs: slices.Clone(p.Inputs), Bases: p.Bases, Steps: p.Steps,
	}
	if p.Table == partition.MBR {
		m.Signature = p.DiskID()
	} else {
		m.DiskGUID = p.DiskID()
	}
	for i, r := range l.Regions {
		m.Partitions = append(m.Partitions, r.manifest())
		m.Partitions[i].Exact, m.Partitions[i].Bound = l.exact(r), m.Partitions[i].Offset != nil && !l.placed(r)
		m.Partitions[i].Largest = l.largest(r, largest)
		m.SizeBound = m.SizeBound || !m.Partitions[i].Exact && p.Size == 0
	}
	for _, c := range p.Closures {
		mc := ManifestClosure{Name: c.Name, Profile: c.Profile}
		for _, root := range c.Roots {
			mc.Roots = append(mc.Roots, root.String())
		}
		m.Closures = append(m.Closures, mc)
	}
	for _, item := range p.Items {
		hash := "sha256:" + hex.EncodeToString(item.Info.NARHash[:])
		m.Items = append(m.Items, ManifestItem{item.Info.Path.String(), hash, item.Info.NARSize})
	}
	return m
}

// exact reports whether the size of a region and of all file systems in it is known, rather than an upper bound.
func (l *Layout) exact(r *Region) bool {
	for _, inner := range l.Regions {
		if inner.In == r && !l.exact(inner) {
			return false
		}
	}
	return partition.StatsOf(r.Maker).Exact
}

// placed reports whether the offset of a region is known, rather than an upper bound.
func (l *Layout) placed(r *Region) bool {
	if r.In != nil {
		return l.exact(r.In) && l.placed(r.In)
	}
	return r.Partition.Offset != 0 || !slices.ContainsFunc(l.Regions, func(before *Region) bool {
		return before.In == nil && before.Offset < r.Offset && !(l.exact(before) && l.placed(before))
	})
}

// largest returns the n largest things of a region. A file system that is a file of it counts with its size.
func (l *Layout) largest(r *Region, n int) []Large {
	inner := map[string]*Region{}
	for _, other := range l.Regions {
		if other.In == r {
			inner[other.Partition.Path] = other
		}
	}
	all := r.Partition.Largest(n + len(inner))
	all = slices.DeleteFunc(all, func(large Large) bool { return inner[large.Path] != nil })
	for _, path := range slices.Sorted(maps.Keys(inner)) {
		all = append(all, Large{path, inner[path].Size, !l.exact(inner[path])})
	}
	slices.SortStableFunc(all, func(a, b Large) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return all[:min(n, len(all))]
}

func (r *Region) manifest() ManifestPartition {
	p, s := r.Partition, partition.StatsOf(r.Maker)
	_, size, _ := r.Range()
	m := ManifestPartition{
		Number: p.Number, Name: p.Spec.Name, Type: p.Type, TypeGUID: p.TypeGUID, MBRType: p.MBRType, PartUUID: p.PartUUIDText(), Attributes: p.Attributes,
		Offset: r.start(), Size: size, Filesystem: p.Spec.Filesystem, Engine: p.Spec.Engine, Label: p.Spec.Label,
		BlockSize: s.BlockSize, Inodes: s.Inodes, FreeInodes: s.FreeInodes, FreeBytes: s.FreeBytes, Journal: s.Journal,
		Items: len(p.Items), Inside: p.Inside, Path: p.Path, Verity: p.Verity,
	}
	if p.Late {
		m.PartUUID = ""
	}
	if p.Sealed != nil {
		m.RootHash = p.RootHash
	}
	if p.PartLabel != p.Spec.Name {
		m.PartLabel = p.PartLabel
	}
	m.VolumeID = p.VolumeID()
	return m
}

// Digests are the hashes of a written image.
type Digests struct {
	Image      string   // the measurement of fs-verity; empty unless computed
	Partitions []string // the same of the bytes of each partition; empty for one that is not a single range of the disk
	SHA256     string   // hexadecimal; empty unless requested
}

// Built adds the digests of a build. verified reports whether it checked the contents against their hashes. Where inputs were found is left out:
// equal builds have equal manifests.
func (m *Manifest) Built(d Digests, verified bool) {
	for i := range m.Inputs {
		m.Inputs[i].From, m.Inputs[i].Kept = "", false
	}
	m.Digest, m.SHA256, m.Verified = d.Image, d.SHA256, &verified
	for i, digest := range d.Partitions {
		m.Partitions[i].Digest = digest
	}
}

// Firmware is the kind of firmware that boots the image: "uefi", "bios" or "u-boot". For an image that boots from two it is
// the first.
func (m *Manifest) Firmware() string {
	types := make([]string, len(m.Partitions))
	for i, p := range m.Partitions {
		types[i] = partition.TypeName(p.Type)
	}
	loader, err := bootloader.Named(m.Loader)
	if err != nil {
		return ""
	}
	return loader.Firmware(types)
}

// JSON returns the manifest as indented text that ends in a newline.
func (m *Manifest) JSON() []byte {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err) // a manifest holds only strings, numbers and lists of them
	}
	return append(text, '\n')
}
