// Package bootloader turns boot entries into what firmware and boot loaders look for: files, the code of a disk's first sector, and
// contents at fixed sectors. Each loader is data in a file of its own: the files it consists of, the partitions it needs, and what goes
// where. Nothing here writes to a disk, and only the programs that are changed (stubs, boot code, core images) are read.
package bootloader

import "imprint/internal/tree"

// A Bootloader is one way to boot.
type Bootloader interface {
	// Requires says what must be there. Of the machine it looks at the architecture, the table, and the partitions' names, types and
	// file systems only: the rest is not known yet when it is called.
	Requires(Machine) Requirements
	// Artifacts returns what the loader puts on the disk. The error says which entry the loader's configuration cannot express.
	Artifacts(Config) (Artifacts, error)
}

// A Machine is the machine that boots the disk, and how the disk is divided.
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
	VolumeID   string // of the file system, as mount and udev show it
	Store      bool   // it holds the store
}

// Requirements are what a loader cannot do without.
type Requirements struct {
	Partitions []Requirement
	Inputs     []Input
	BIOS       bool   // it starts from a BIOS, so sectors must have 512 bytes
	EFIKernel  bool   // it has the firmware start kernels, so they must be EFI programs
	Table      string // the only partition table that it works with; "" for any
}

// A Requirement is a partition that must exist.
type Requirement struct {
	For        string // what needs it
	Type       string // a name of the Discoverable Partitions Specification
	Filesystem string
	Size       string // a sufficient size, as a description writes it
	Or         string // an alternative to name in the hint
}

// Met reports whether a machine has a partition of that type, whatever its file system.
func (r Requirement) Met(m Machine) bool {
	_, ok := m.find(r.Type)
	return ok
}

// An Input is a file that a loader consists of, either as it is or made from GRUB's modules by grub-mkimage.
type Input struct {
	Path    string // below a store item, or below the host's /usr: of the file, or of the directory of modules
	Package string // the Debian package that has it
	EFI     bool   // it is the EFI program, which the description may name instead
	Core    *Core  // how to make it from GRUB's modules; nil for a file that is used as it is
}

// A Core is a core image of GRUB: what starts before GRUB can read its configuration.
type Core struct {
	Format  string   // as grub-mkimage calls it; "" for that of the directory of modules
	Prefix  string   // directory of the configuration, with its disk if that is not the one that firmware started GRUB from
	Modules []string // all modules that will be needed, since there are none on the disk
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
	CopyKernel bool    // copy kernels and initrds next to the loader's configuration, even if it can read them in the store
}

// An Entry is one system to boot.
type Entry struct {
	Title   string
	Kernel  Source
	Initrd  []Source
	Cmdline string // without a newline
	// DeviceTree describes the board to the kernel; the zero value leaves that to the firmware.
	DeviceTree DeviceTree
}

// A DeviceTree is a flattened device tree, or a directory of them from which the firmware takes that of its board.
type DeviceTree struct {
	Source
	Dir   bool
	Files []Source // of a directory; their names are paths below it, such as "/rockchip/rk3399-rockpro64.dtb"
}

// A Source is a kernel or an initrd.
type Source struct {
	Name    string // unique among the entries' files: for a file in a store item, the item's base name and the file's
	Path    string // in the partition with the store; "" for a file that is not in the store
	Content tree.Blob
}

// Artifacts are what a loader puts on the disk.
type Artifacts struct {
	Files    []File
	BootCode *Code // of the first sector, at most 440 bytes; its pointers are to the first of Raw
	Raw      []Raw // contents at fixed offsets
	ElTorito *ElTorito
	Active   string // name of the partition to mark as active
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

// nothing is the loader of an image without one: its kernel is started from outside, or never.
type nothing struct{}

func (nothing) Requires(Machine) Requirements       { return Requirements{} }
func (nothing) Artifacts(Config) (Artifacts, error) { return Artifacts{}, nil }

// find returns the first partition of the first type that has any.
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

// store returns the partition with the store.
func (m Machine) store() (Partition, bool) {
	for _, p := range m.Partitions {
		if p.Store {
			return p, true
		}
	}
	return Partition{}, false
}
