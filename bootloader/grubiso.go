package bootloader

import (
	"fmt"
	"slices"

	"imprint/internal/tree"
)

// tableISO is the table of an ISO 9660 image.
const tableISO = "iso"

const (
	grubElTorito = grubDir + "/eltorito.img" // in the ISO's tree
	grubHybrid   = grubPC + "/boot_hybrid.img"
)

// Offsets at which GRUB's programs hold the sector to load next. An El Torito boot starts in the 2048 bytes of cdboot.img,
// which loads the core image after it; boot_hybrid.img starts from a disk, skips those four sectors, and begins with the block
// list of diskboot.
const (
	grubCDPointer   = 2548
	grubDiskPointer = 0x1b0
)

// requiresISO is Requires for an ISO. UEFI starts GRUB from the ESP, which it finds through the boot catalog on a CD and the
// GPT on a disk. A BIOS starts a core image in the ISO's tree, through the boot catalog on a CD and the first sector on a
// disk. Both read grub.cfg on the file system from which they were started, and kernels in the ISO's tree.
func (g grub) requiresISO(m Machine) Requirements {
	modules := append([]string{"iso9660"}, g.modules(m)...)
	dir := grubEFI[m.Arch]
	r := Requirements{
		Partitions: []Requirement{esp("grub on an ISO")},
		Inputs: []Input{{Path: dir[0], Package: dir[1], EFI: true, Core: &Core{
			Prefix: grubDir, Modules: append([]string{"efi_gop"}, modules...),
		}}},
	}
	if HasBIOS(m.Arch) {
		core := &Core{Format: "i386-pc-eltorito", Prefix: grubDir, Modules: append([]string{"biosdisk"}, modules...)}
		r.Inputs = append(r.Inputs, Input{Path: grubPC, Package: "grub-pc-bin", Core: core}, Input{Path: grubHybrid, Package: "grub-pc-bin"})
	}
	r.Inputs = append(r.Inputs, g.font(m)...)
	return r
}

func (g grub) artifactsISO(c Config) (Artifacts, error) {
	iso, ok := c.find("iso9660")
	esp, hasESP := c.find("esp")
	if !ok || !hasESP {
		return Artifacts{}, fmt.Errorf("GRUB on an ISO needs the ISO's tree and an ESP")
	}
	if !iso.Store { // the store is in a file system inside the ISO, which GRUB cannot read
		c.Partitions = slices.Clone(c.Partitions)
		for i := range c.Partitions {
			c.Partitions[i].Store = false
		}
	}
	text, files, err := g.config(c, iso)
	if err != nil {
		return Artifacts{}, err
	}
	cfg := tree.Text(text)
	a := Artifacts{Files: append(files,
		File{iso.Name, grubDir + "/grub.cfg", cfg},
		File{esp.Name, grubDir + "/grub.cfg", cfg},
		File{esp.Name, RemovablePath(c.Arch), c.Inputs[grubEFI[c.Arch][0]]},
	)}
	if HasBIOS(c.Arch) {
		hybrid, err := tree.ReadHead(c.Inputs[grubHybrid], BootCodeSize)
		if err != nil {
			return a, err
		}
		a.Files = append(a.Files, File{iso.Name, grubElTorito, c.Inputs[grubPC]})
		a.ElTorito = &ElTorito{
			Path: grubElTorito, Pointers: []Pointer{{At: grubCDPointer, Plus: 5}},
			Hybrid: Code{Bytes: hybrid, Pointers: []Pointer{{At: grubDiskPointer, Plus: 4}}},
		}
	}
	return a, nil
}
