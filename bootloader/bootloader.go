// Package bootloader turns boot entries into what firmware and boot loaders look for: files, code for a disk's first sector,
// and contents at fixed sectors. Each loader is data in a file of its own: which files it is made of, which partitions it
// needs, and what goes where. Nothing here writes to a disk, and only programs that have to be modified (stubs, boot code,
// core images) are read.
//
// Loaders know nothing of offsets. Code that has to find its next part holds pointers ([Pointer]) to sectors, which are filled
// in when the layout is known.
package bootloader

import "imprint/internal/tree"

// A Bootloader is one way to boot.
type Bootloader interface {
	// Requires returns what a loader needs. It is called before identifiers are chosen, so it uses only the architecture, the
	// table, and the partitions' names, types and file systems.
	Requires(Machine) Requirements
	// Artifacts returns what the loader puts on the disk. The error names the entry that the loader's configuration cannot
	// express.
	Artifacts(Config) (Artifacts, error)
}

// A Machine is the machine that boots the disk, and how the disk is divided.
type Machine struct {
	Arch       string // "x86_64", "aarch64" or "riscv64"
	Table      string // "gpt", "mbr", or "iso" for an ISO 9660 image, which has a GPT and a boot catalog
	Partitions []Partition

	Foreign  bool // an entry may start something else than Linux
	Graphics bool // the menu is shown on a picture
}

// A Partition is one that a loader may use.
type Partition struct {
	Name       string
	Number     int    // in the partition table, from 1 on
	Type       string // such as "esp", "xbootldr", "bios-boot"; "iso9660" for the tree of an ISO
	Filesystem string // "fat", "ext4", … or "none"
	VolumeID   string // of the file system, as mount and udev print it
	Store      bool   // it holds the store
	Apart      bool   // the store has it for itself: its paths there do not begin as those of the system
	Root       bool   // it is mounted as root
}

// Requirements are what a loader cannot work without.
type Requirements struct {
	Partitions []Requirement
	Inputs     []Input
	BIOS       bool   // a BIOS starts it, so sectors must have 512 bytes
	EFIKernel  bool   // firmware starts the kernels, so they must be EFI programs
	Table      string // the only partition table that it works with; "" for any
}

// A Requirement is a partition that must exist.
type Requirement struct {
	For        string // what needs it
	Type       string // a name of the Discoverable Partitions Specification
	Filesystem string
	Size       string // a sufficient size, in the syntax of a description
	Or         string // an alternative to name in the hint
}

// Met reports whether a machine has a partition of that type, with any file system.
func (r Requirement) Met(m Machine) bool {
	_, ok := m.find(r.Type)
	return ok
}

// An Input is a file that a loader is made of: used as it is, or made from GRUB's modules by grub-mkimage.
type Input struct {
	Path    string // of the file, or the directory of modules, below a store item or the host's /usr
	Package string // the Debian package that has it
	EFI     bool   // the EFI program, which efi-binary replaces
	Core    *Core  // how to make it from GRUB's modules; nil for a file used as it is
}

// A Core is a core image of GRUB: the part that runs before GRUB can read files.
type Core struct {
	Format  string   // of grub-mkimage; "" for that of the directory of modules
	Prefix  string   // directory of the configuration, with its disk unless firmware started GRUB from it
	Modules []string // all modules needed, since there are none on the disk
}

// Config describes the systems that a loader boots.
type Config struct {
	Machine
	Inputs     map[string]tree.Blob // by Path
	Timeout    int64                // seconds that the menu is shown; 0 boots at once
	Console    []string             // in the syntax of the kernel's console=
	Entries    []Entry
	Default    int // index in Entries
	Menu       Menu
	Signer     *Signer // signs EFI programs; nil for unsigned ones
	CopyKernel bool    // copy kernels and initrds next to the loader's configuration, even if it can read the store
}

// An Entry is one system to boot.
type Entry struct {
	Title   string
	Kernel  Source
	Initrd  []Source
	Cmdline string // without a newline
	Plain   bool   // the kernel may be another program
	Submenu string // title of the submenu that it is in, "" for the menu itself
	// DeviceTree describes the board to the kernel; if it is zero, the firmware's is used.
	DeviceTree DeviceTree
	Generation *Generation // of NixOS; nil for other systems
}

// A DeviceTree is a flattened device tree, or a directory of them from which the firmware picks its board's.
type DeviceTree struct {
	Source
	Dir   bool
	Files []Source // of a directory; their names are paths below it, such as "/rockchip/rk3399-rockpro64.dtb"
}

// A Source is a kernel or an initrd.
type Source struct {
	Name      string // unique among the entries' files: for a file in a store item, the item's base name and the file's
	Path      string // where it is in the image; "" for a file that is in no partition
	Partition string // name of the partition that Path is in; "" for the one with the store
	Item      string // base name of the store item with the file, "" for none
	Content   tree.Blob
}

// Artifacts are the parts of a loader on the disk.
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

// ElTorito describes how a BIOS boots an ISO 9660 image.
type ElTorito struct {
	Path     string    // of the program in the ISO's tree that starts from a CD
	Pointers []Pointer // in that program, to the sector of 512 bytes where it begins
	Hybrid   Code      // for the first sector: starts the same program from a disk; its pointers are to that program
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

// system returns the partition with the store, or the one that is mounted as root.
func (m Machine) system() (Partition, bool) {
	if p, ok := m.store(); ok && !p.Apart {
		return p, true
	}
	for _, p := range m.Partitions {
		if p.Root {
			return p, true
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
