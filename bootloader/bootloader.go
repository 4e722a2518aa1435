// Package bootloader turns boot entries into what firmware and boot loaders look for: files, the code of a disk's first sector, and
// contents at fixed sectors. A loader is data, in a file of its own: what it is made of, which partitions it needs, and what goes
// where. It writes nothing, and reads no more than the programs that it changes.
package bootloader

import "imprint/internal/tree"

// A Bootloader is one way to boot.
type Bootloader interface {
	// Requires says what must be there. It looks at no more of a machine than its architecture, its table, and the partitions' names,
	// types and file systems.
	Requires(Machine) Requirements
	// Artifacts gives what the loader puts on the disk. It is an error when an entry cannot be said in the loader's words.
	Artifacts(Config) (Artifacts, error)
}

// A Machine is what is to boot, and how its disk is divided.
type Machine struct {
	Arch       string // "x86_64", "aarch64" or "riscv64"
	Table      string // "gpt", "mbr", or "iso" for an ISO 9660 image, which has a GPT and a boot catalog
	Partitions []Partition
}

// A Partition is one that a loader may use.
type Partition struct {
	Name       string
	Number     int    // in the partition table, from 1 on
	Type       string // "esp", "xbootldr", "bios-boot", or another; the tree of an ISO has the type "iso9660"
	Filesystem string // "fat", "ext4", … or "none"
	VolumeID   string // of the file system, as mount and udev tell it
	Store      bool   // it holds the store
}

// Requirements are what a loader cannot do without.
type Requirements struct {
	Partitions []Requirement
	Inputs     []Input
	BIOS       bool   // it starts from a BIOS, which knows sectors of 512 bytes alone
	EFIKernel  bool   // it has the firmware start kernels, which knows EFI programs alone
	Table      string // the only partition table that it works with; "" for any
}

// A Requirement is a partition.
type Requirement struct {
	For        string // what needs it
	Type       string // a name of the Discoverable Partitions Specification
	Filesystem string
	Size       string // that will do, as a description says it
	Or         string // another way, for the hint
}

// Met tells whether a machine has the partition. What is on it is another question.
func (r Requirement) Met(m Machine) bool {
	_, ok := m.find(r.Type)
	return ok
}

// An Input is a file that a loader is made of: as it is, or made of GRUB's modules by grub-mkimage.
type Input struct {
	Path    string // below a store item, or below the host's /usr: of the file, or of the directory of modules
	Package string // Debian's, that has it
	EFI     bool   // it is the EFI program, which the description may give
	Core    *Core  // of GRUB, what its image is made of
}

// A Core is a core image of GRUB: what starts before GRUB can read its configuration.
type Core struct {
	Format  string   // as grub-mkimage calls it; "" for that of the directory of modules
	Prefix  string   // where that lies: a directory, with its disk if that is not the one that firmware started GRUB from
	Modules []string // what it needs to get there; the rest is in it too, since no modules are on the disk
}

// Config is what a loader is asked to boot.
type Config struct {
	Machine
	Inputs     map[string]tree.Blob // by Path
	Timeout    int64                // seconds that the menu is shown; 0 boots at once
	Console    []string             // as the kernel's parameter console= takes them
	Entries    []Entry
	Default    int     // of Entries
	Signer     *Signer // signs EFI programs; nil for unsigned ones
	CopyKernel bool    // kernels and initrds are copied to where the loader's configuration lies, though it could read them in the store
}

// An Entry is one system to boot.
type Entry struct {
	Title   string
	Kernel  Source
	Initrd  []Source
	Cmdline string // without a newline
	// DeviceTree is what the kernel is told of the board; the zero one leaves that to the firmware.
	DeviceTree DeviceTree
}

// A DeviceTree is a flattened device tree, or a directory of them from which the firmware takes that of its board.
type DeviceTree struct {
	Source
	Dir   bool
	Files []Source // of a directory, with paths below it such as "/rockchip/rk3399-rockpro64.dtb" for names
}

// A Source is a kernel or an initrd.
type Source struct {
	Name    string // a name that tells it from others: for a store item's file, its base name and the file's
	Path    string // in the partition with the store; "" when it is not there
	Content tree.Blob
}

// Artifacts are what a loader puts on the disk.
type Artifacts struct {
	Files    []File
	BootCode *Code // of the first sector, at most 440 bytes; its pointers are to the first of Raw
	Raw      []Raw // contents at fixed places
	ElTorito *ElTorito
	Active   string // name of the partition to be marked as the one that boots
	Install  string // name of the FAT partition that syslinux is installed on
}

// A File is content at a path of a partition.
type File struct {
	Partition string // its name
	Path      string // absolute
	Content   tree.Blob
}

// ElTorito is how a BIOS starts an ISO 9660 image.
type ElTorito struct {
	Path     string    // in the ISO's tree: of the program that starts from a CD
	Pointers []Pointer // in that program, to the sector of 512 bytes where it begins itself
	Hybrid   Code      // of the first sector, which starts the same program from a disk; its pointers are to that program
}

// A Raw is content at an offset of a partition, or of the disk.
type Raw struct {
	Partition string // its name, "" for the disk
	Offset    int64  // bytes
	Code
}

// nothing is the loader of an image that boots by other means, or not at all.
type nothing struct{}

func (nothing) Requires(Machine) Requirements       { return Requirements{} }
func (nothing) Artifacts(Config) (Artifacts, error) { return Artifacts{}, nil }

// find gives the first partition of one of the types, those named first preferred.
func (m Machine) find(types ...string) (Partition, bool) {
	for _, t := range types {
		for _, p := range m.Partitions {
			if p.Type == t {
				return p, true
			}
		}
	}
	return Partition{}, false
}

// store gives the partition with the store.
func (m Machine) store() (Partition, bool) {
	for _, p := range m.Partitions {
		if p.Store {
			return p, true
		}
	}
	return Partition{}, false
}
