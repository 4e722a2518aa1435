// Package plan holds an image as values: a [Plan], in which everything is decided but where things lie, and a [Layout], which
// says that too. Both are arithmetic over what was resolved; nothing in here opens a file.
//
// In a plan every default is filled in, every input is pinned by a digest, every tree is complete, and every identifier and
// time is chosen. Its layout is the finished disk as a value: any byte can be read before one is written. Writing it, in
// parallel, is up to package write. A file system that is a file of another one nests: the file's content is itself a layout,
// so that what lies in it has a final offset on the disk like everything else.
//
// Host tools are the exception. One that fills a region of the disk in place (mke2fs, syslinux) has no extents, and one that
// packs a file of its own (squashfs) has a size only when it is done: [Plan.Layout] takes such files, and lays out an upper
// bound without them.
package plan

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/diag"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/verity"
	"imprint/partition"
)

// A Plan is an image with everything decided but where things lie. It is a plain value: as JSON it holds every node of every
// tree, and equal inputs give equal plans, wherever on the host they are.
type Plan struct {
	Key        diag.Key // of the partitions in the description
	Name       string
	Arch       string
	Format     string
	Table      string   // one of the words of package partition
	SectorSize int64    // bytes
	SizeKey    diag.Key // of the size of the disk
	Size       int64    // of the disk, bytes; 0 means what the partitions need
	Multiple   int64    // of which the size is one, bytes; 0 means no wish
	EntriesAt  int64    // of the GPT, bytes; 0 means right after the header
	MBRActive  bool     // the first partition in the MBR beside a GPT is marked active
	Epoch      int64    // seconds since 1970
	Seed       repro.Seed
	After      string // digest of the image to whose layout this one keeps; "" for none
	DiskGUID   repro.UUID
	Signature  uint32 // of a disk with an MBR, instead of a GUID
	Loader     string
	Partitions []*Partition
	Closures   []*Closure
	Items      []*Item // of all closures, references first
	Entries    []bootloader.Entry
	BootInputs []tree.Blob `json:"-"` // files in store items that were read, and so pinned, to make the boot loader
	// DefaultEntry is the index of the entry that boots when nobody chooses one.
	DefaultEntry int
	Timeout      int64                // seconds that a menu waits; 0 boots at once
	Raw          []Raw                // outside of all partitions
	Inputs       []Input              // in the order of the description
	Bases        []Base               // likewise
	BootCode     *bootloader.Code     // of the first sector; nil where there is none
	ElTorito     *bootloader.ElTorito // how a BIOS starts an ISO; nil where it does not
	Warnings     diag.List            // about what is valid but probably a mistake
	Steps        []Step               // that have made layers
	MadeOf       []Ingredient         `json:"-"` // sorted by name

	// Seal returns this plan with the hash trees of its partitions, by the names of what they cover; see [Partition.Sealed]. It is nil in a plan
	// that has them, or needs none.
	Seal func(context.Context, map[string]verity.Tree) (*Plan, error) `json:"-"`
}

// A Step is a command that has made a layer, or will.
type Step struct {
	Partition string   `json:"partition"`
	Name      string   `json:"name"`
	Run       []string `json:"run"`
	ID        string   `json:"id,omitempty"`    // digest of the step and of the tree below it
	Layer     string   `json:"layer,omitempty"` // digest of what it has made
	Why       []string `json:"why,omitempty"`   // of one that has to run: what differs from when it ran before; absent in the manifest of a build
	Known     bool     `json:"-"`               // what it makes
}

// An Ingredient is a part of what an image is made of: a key of its description, a host file by its digest, or a store item by its NAR hash.
type Ingredient struct{ Name, Value string }

// A Partition is one entry of the partition table, or a file system that is a file of another partition, and what is in it.
type Partition struct {
	Key        diag.Key // in the description
	SizeKey    diag.Key // of its size
	Number     int      // in the partition table; 0 for a file of another partition
	PartLabel  string   // in a GPT
	Type       string   // as in the description
	TypeGUID   repro.UUID
	PartUUID   repro.UUID
	MBRType    byte   // in an MBR, instead of TypeGUID; in a hybrid one beside it, 0 for one that is not there
	MBRUUID    string // the PARTUUID that Linux derives there from the disk signature and the number
	Attributes uint64 // bits of the GPT entry
	Align      int64  // bytes
	Offset     int64  // bytes; 0 means after the partition before
	Grow       bool   // it takes the rest of the disk
	Verity     string // the partition that gets its hash tree, "" for none
	VerityKey  diag.Key
	RootHash   string       // of that tree, hexadecimal; zeros while it is not known
	Sealed     *verity.Tree `json:"-"`          // that tree; nil while it is not known
	Late       bool         `json:",omitempty"` // PartUUID is not known yet, since it derives from a root hash
	FreeShare  int64        // of the content's bytes, in percent, besides Spec.Free
	Active     bool         // the MBR entry is marked active
	Inside     string       // the partition that it is a file of, "" for none
	Path       string       // of that file in it
	Volatile   bool         // what the running system writes stays in memory
	Items      []*Item
	Spec       partition.Spec
	Code       *bootloader.Raw // what it holds instead of a file system; linked when its offset is known
}

// A Raw is content at an offset of the disk.
type Raw struct {
	Key     diag.Key
	Name    string // for messages
	Offset  int64  // bytes
	Loader  bool   // the boot loader's, which the code in the first sector loads
	Content tree.Blob
}

// An Input is a file that the description knows by its hash.
type Input struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // hexadecimal
	Size   int64  `json:"size"`   // bytes
	// Where it was found, which changes nothing in the image: absent in the manifest of a build.
	From string `json:"from,omitempty"` // locator, without a password; empty if it was in the build store
	Kept bool   `json:"kept,omitempty"` // in the build store
}

// A Base is what the tree of a partition begins with.
type Base struct {
	Partition  string   `json:"partition"`
	From       string   `json:"from"` // reference, with its digest
	Platform   string   `json:"platform,omitempty"`
	Layers     int      `json:"layers"`
	Env        []string `json:"env,omitempty"` // "NAME=value", of the image of a container
	User       string   `json:"user,omitempty"`
	WorkingDir string   `json:"workingDir,omitempty"`
}

// A Closure is a named set of roots.
type Closure struct {
	Name    string
	Profile string
	Roots   []closure.Path
}

// An Item is a store item of the image: its registration and its content.
type Item struct {
	Info *closure.Info
	Node *tree.Node `json:"-"` // in the tree of a partition

	// Stream is not nil if reading all files once, in the order of an archive, is cheaper than any other.
	Stream  Stream `json:"-"`
	Distant bool   `json:"-"` // it waits for a server
}

// A Stream is an archive that is read while the files of its item are written.
type Stream interface {
	// String names the archive in messages.
	String() string
	// Ahead says that it will be needed soon. What it does for that ends with the context.
	Ahead(context.Context)
	// Begin is called before the files are read, and end after that, with whether they have the hash of the item.
	Begin(context.Context) (end func(verified bool) error, err error)
}

// DiskID is the GUID of a disk with a GPT, or the signature of one with an MBR in eight hexadecimal digits.
func (p *Plan) DiskID() string {
	if p.Table == partition.MBR {
		return fmt.Sprintf("%08x", p.Signature)
	}
	return p.DiskGUID.String()
}

// Find returns the partition of that name, nil if there is none.
func (p *Plan) Find(name string) *Partition {
	i := slices.IndexFunc(p.Partitions, func(part *Partition) bool { return part.Spec.Name == name })
	if i < 0 {
		return nil
	}
	return p.Partitions[i]
}

// WholeDisk returns the partition that holds the tree of an ISO, nil for other disks.
func (p *Plan) WholeDisk() *Partition {
	for _, part := range p.Partitions {
		if part.filesystem().WholeDisk {
			return part
		}
	}
	return nil
}

func (p *Partition) filesystem() *partition.Filesystem { return partition.Named(p.Spec.Filesystem) }

// PartUUIDText is the PARTUUID as Linux prints it, "" for a partition that has no entry in the table.
func (p *Partition) PartUUIDText() string {
	switch {
	case p.Inside != "":
		return ""
	case p.MBRUUID != "":
		return p.MBRUUID
	}
	return p.PartUUID.String()
}

// VolumeID is the identifier of the file system as mount and udev print it: a UUID, or "XXXX-XXXX" for FAT.
func (p *Partition) VolumeID() string {
	if id := p.filesystem().VolumeID; id != nil {
		return id(&p.Spec)
	}
	return ""
}

// Largest returns the n largest things of a partition: store items as a whole, and files besides them.
func (p *Partition) Largest(n int) []Large {
	if p.Spec.Tree == nil || n == 0 {
		return nil
	}
	items := make(map[*tree.Node]bool, len(p.Items))
	for _, item := range p.Items {
		items[item.Node] = true
	}
	all := largest(p.Spec.Tree, items)
	slices.SortStableFunc(all, func(a, b Large) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return all[:min(n, len(all))]
}

// A Large is a path with the bytes it holds.
type Large struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Bound bool   `json:"bound,omitempty"` // Bytes is an upper bound
}

// largest lists the items of a tree, and the files outside of them.
func largest(t *tree.Tree, items map[*tree.Node]bool) (all []Large) {
	var walk func(path string, n *tree.Node, within bool) int64
	walk = func(path string, n *tree.Node, within bool) int64 {
		sum := n.Size()
		for _, c := range n.Children() {
			sum += walk(tree.Join(path, c.Name), c, within || items[n])
		}
		if items[n] || !within && n.Kind() == tree.File {
			all = append(all, Large{Path: path, Bytes: sum})
		}
		return sum
	}
	walk("/", t.Root(), false)
	return all
}
