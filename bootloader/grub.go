package bootloader

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// grub is GNU GRUB 2. UEFI starts it as an EFI program on the ESP; a BIOS starts boot code in the first sector, with a core image in a BIOS
// boot partition (GPT) or right after the first sector (MBR); a disk may have both. All read one grub.cfg, on the ESP or XBOOTLDR
// partition if there is one, else on the partition with the store, or the one mounted as root. The core images hold all modules, so the disk has no directory of
// them.
type grub struct{}

var grubLoader = Loader{
	Name: "grub", ISO: true, Menu: true, ReadsStore: true, Serial: true, Fills: "GRUB's core image", reads: []string{"ext4", "iso9660"}, room: 256,
	changes: `"'\`, how: "which GRUB hands to the kernel with a backslash before it", Bootloader: grub{},
	unpacks: []string{"gzip"}, newZBoot: "GRUB starts from version 2.12 on",
	Submenus: true, Looks: true, ConfigFile: "grub.cfg",
}

const grubDir = "/boot/grub"

// grubModules are enough to read a partition, find another one by its UUID, and load Linux from it.
var grubModules = strings.Fields(`part_gpt part_msdos fat ext2 normal configfile linux search search_fs_uuid serial terminal gzio echo test
	all_video halt reboot ls cat`)

// grubEFI is the directory of GRUB's modules for UEFI and the Debian package that has it, by architecture.
var grubEFI = map[string][2]string{
	"x86_64":  {"lib/grub/x86_64-efi", "grub-efi-amd64-bin"},
	"aarch64": {"lib/grub/arm64-efi", "grub-efi-arm64-bin"},
	"riscv64": {"lib/grub/riscv64-efi", "grub-efi-riscv64-bin"},
}

const (
	grubPC       = "lib/grub/i386-pc" // modules for a BIOS
	grubBootCode = grubPC + "/boot.img"
)

func (g grub) Requires(m Machine) Requirements {
	if m.Table == tableISO {
		return g.requiresISO(m)
	}
	var r Requirements
	uefi, bios := g.firmware(m)
	switch {
	case uefi:
		r.Partitions = append(r.Partitions, esp("grub on UEFI"))
	case !bios && HasBIOS(m.Arch):
		r.Partitions = append(r.Partitions, Requirement{
			For: "grub on BIOS", Type: "bios-boot", Filesystem: "none", Size: "1MiB", Or: `or, to boot by UEFI, one of type "esp"`,
		})
	case !bios:
		r.Partitions = append(r.Partitions, esp("grub on "+m.Arch))
	}
	if uefi {
		dir := grubEFI[m.Arch]
		core := &Core{Prefix: grubDir, Modules: append([]string{"efi_gop"}, g.modules(m)...)}
		r.Inputs = append(r.Inputs, Input{Path: dir[0], Package: dir[1], EFI: true, Core: core})
	}
	if _, ok := g.home(m); bios && !ok {
		r.Partitions = append(r.Partitions, menuPartition(&grubLoader))
	}
	if r.BIOS = bios; bios {
		core := &Core{Prefix: g.biosPrefix(m), Modules: append([]string{"biosdisk"}, g.modules(m)...)}
		r.Inputs = append(r.Inputs, Input{Path: grubPC, Package: "grub-pc-bin", Core: core}, Input{Path: grubBootCode, Package: "grub-pc-bin"})
	}
	r.Inputs = append(r.Inputs, g.font(m)...)
	return r
}

// modules returns the modules of a core image.
func (grub) modules(m Machine) []string {
	list := slices.Clone(grubModules)
	if m.Foreign {
		list = append(list, "chain")
	}
	if m.Graphics {
		list = append(list, "gfxterm", "gfxterm_background", "png", "jpeg", "tga")
	}
	return list
}

// grubFont is the font in which GRUB writes on a picture. It has none built in that draws the frame of a menu.
const grubFont = "share/grub/unicode.pf2"

// font returns the input that is the font, if there is a picture.
func (grub) font(m Machine) []Input {
	if !m.Graphics {
		return nil
	}
	return []Input{{Path: grubFont, Package: "grub-common"}}
}

// firmware reports which firmware can start the disk: UEFI needs an ESP, and a BIOS needs room for a core image, in a BIOS
// boot partition or, on a disk with an MBR, before the first partition.
func (grub) firmware(m Machine) (uefi, bios bool) {
	_, uefi = m.find("esp")
	_, bios = m.find("bios-boot")
	return uefi, HasBIOS(m.Arch) && (bios || m.Table == "mbr")
}

// biosPrefix names the directory by the number of its partition on the disk that the BIOS started: "(,gpt2)/boot/grub". A UUID
// would do as well, but is derived from the image's content, of which the core image is a part.
func (g grub) biosPrefix(m Machine) string {
	scheme := map[string]string{"gpt": "gpt", "mbr": "msdos"}[m.Table]
	home, _ := g.home(m)
	return fmt.Sprintf("(,%s%d)%s", scheme, home.Number, grubDir)
}

// home returns the partition with grub.cfg.
func (grub) home(m Machine) (Partition, bool) {
	if p, ok := m.find("esp", "xbootldr"); ok {
		return p, true
	}
	return grubLoader.home(m)
}

func (g grub) Artifacts(c Config) (Artifacts, error) {
	if c.Table == tableISO {
		return g.artifactsISO(c)
	}
	home, ok := g.home(c.Machine)
	if !ok {
		return Artifacts{}, fmt.Errorf("grub has no partition for its menu: no ESP or XBOOTLDR partition, and no root file system that it reads")
	}
	text, files, err := g.config(c, home)
	if err != nil {
		return Artifacts{}, err
	}
	a := Artifacts{Files: append(files, File{home.Name, grubDir + "/grub.cfg", tree.Text(text)})}
	uefi, bios := g.firmware(c.Machine)
	if uefi {
		// GRUB built by a distribution looks for its menu next to itself; ours looks in grubDir.
		a.Files = append(a.Files, File{home.Name, RemovablePath(c.Arch), c.Inputs[grubEFI[c.Arch][0]]},
			File{home.Name, "/EFI/BOOT/grub.cfg", tree.Text(text)})
	}
	if !bios {
		return a, nil
	}
	if c.Table == "mbr" {
		a.Active = home.Name // some BIOSes only start a disk with an MBR if one of its partitions is active
	}
	err = g.embed(c, &a)
	return a, err
}

// embed adds what a BIOS starts: boot.img in the first sector, which loads the first sector of the core image, which loads the
// rest. Their sector numbers are set as grub-bios-setup does (grub-core/boot/i386/pc/boot.S and diskboot.S).
func (grub) embed(c Config, a *Artifacts) error {
	boot, err := read(c.Inputs[grubBootCode])
	if err != nil {
		return err
	}
	core, err := read(c.Inputs[grubPC])
	if err != nil {
		return err
	}
	const (
		kernelSector = 0x5c  // of boot.img: where the core image begins
		driveCheck   = 0x66  // of boot.img: a jump; NOPs in its place enable a check of the BIOS's drive number
		list         = 0x1f4 // of the core image's first sector: start (8 bytes), sectors (2) and segment (2) of the rest
		segment      = 0x820 // where the rest is loaded to, in paragraphs
		sector       = 512
	)
	if len(boot) != sector || len(core) <= sector {
		return fmt.Errorf("GRUB's boot.img has %d bytes and its core image %d", len(boot), len(core))
	}
	boot = append([]byte(nil), boot[:BootCodeSize]...)
	boot[driveCheck], boot[driveCheck+1] = 0x90, 0x90
	core = append(core, make([]byte, units.Align(int64(len(core)), sector)-int64(len(core)))...)
	rest := len(core)/sector - 1
	if rest > 0xffff {
		return fmt.Errorf("GRUB's core image of %d bytes is too large to load", len(core))
	}
	binary.LittleEndian.PutUint16(core[list+8:], uint16(rest))
	binary.LittleEndian.PutUint16(core[list+10:], segment)
	a.BootCode = &Code{boot, []Pointer{{kernelSector, 0}}}
	raw := Raw{Offset: sector, Code: Code{core, []Pointer{{list, 1}}}}
	if p, ok := c.find("bios-boot"); ok {
		raw.Partition, raw.Offset = p.Name, 0
	}
	a.Raw = append(a.Raw, raw)
	return nil
}

// maxProgram is the maximum size of boot code and stubs in bytes, since they are read into memory. Real ones have a few
// megabytes.
const maxProgram = 64 << 20

// read returns the content of boot code or a stub.
func read(b tree.Blob) ([]byte, error) { return tree.ReadAll(b, maxProgram) }
