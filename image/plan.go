package image

import (
	"crypto/sha256"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/diag"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition"
)

// A Plan is an image with nothing left open but where things lie: every default filled in, every input pinned by a digest, every
// tree complete, every identifier and time chosen. It is what Resolve makes of a Description.
type Plan struct {
	Name       string
	Arch       string
	Format     string
	Table      string // "gpt"; "iso" for that of an ISO
	SectorSize int64  // bytes
	Epoch      int64  // seconds since 1970
	Seed       repro.Seed
	DiskGUID   repro.UUID
	Signature  uint32 // of a disk with an MBR, in place of a GUID
	Loader     string
	Partitions []*Partition
	Closures   []*Closure
	Items      []*Item // of all closures, references first
	Entries    []bootloader.Entry
	// DefaultEntry is the index of the entry that boots by itself.
	DefaultEntry int
	Raw          []Raw // what lies on the disk outside of all partitions

	bootCode *bootloader.Code
	elTorito *bootloader.ElTorito
	pins     map[tree.Blob]pin // what host files held when they were resolved
	place    func(key string) diag.Place
}

// A pin is the SHA-256 that a host file's content must have when it is written.
type pin = [sha256.Size]byte

// A Partition is one entry of the partition table and what is in it.
type Partition struct {
	Key        string // in the description, as in "partition[0]"
	Type       string // as the description names it
	TypeGUID   repro.UUID
	PartUUID   repro.UUID
	MBRType    byte   // in an MBR, in place of TypeGUID
	MBRUUID    string // what Linux makes up as PARTUUID there
	Attributes uint64 // bits of the GPT entry
	Align      int64  // bytes
	Offset     int64  // bytes; 0 means behind the partition before
	FreeShare  int64  // of the content's bytes, in percent, besides Spec.Free
	Active     bool   // it is marked as the one that boots
	Items      []*Item
	Inside     string // of an ISO: the partition that it is a file of
	Path       string // of an ISO: where that file is
	Volatile   bool   // what the running system writes stays in memory
	Modified   int64  // of an ISO: the time that its UUID tells, in seconds since 1970
	Spec       partition.Spec

	code *bootloader.Raw // what it holds in place of a file system, to be linked for where it lies
}

// A Raw is content at a place of the disk.
type Raw struct {
	Key     string // in the description
	Name    string // for messages
	Offset  int64  // bytes
	Content tree.Blob
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
	Node *tree.Node
}
