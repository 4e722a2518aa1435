package emulator

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"imprint/bootloader"
	"imprint/bootloader/menu"
	"imprint/image/description"
	"imprint/image/disk"
	"imprint/image/plan"
	"imprint/internal/tree"
)

// None is the firmware of an image without a boot loader: QEMU itself starts the kernel.
const None = "none"

// A Target describes the machine that an image is for.
type Target struct {
	Arch       string
	Firmware   string // "uefi", "bios", "u-boot" or None
	Format     string // as in a description
	SectorSize int64  // bytes
}

// TargetOf returns the target of a manifest.
func TargetOf(m *plan.Manifest) Target {
	t := Target{m.Arch, m.Firmware(), m.Format, m.SectorSize}
	if m.Loader == None {
		t.Firmware = None
	}
	return t
}

// arches are the architectures with machines, in the order in which they are tried.
var arches = []string{"x86_64", "aarch64"}

// Recognise returns the target of an image without a manifest. It looks for what firmware would find: an EFI program at UEFI's default path,
// a menu with a kernel for U-Boot, or code in the first sector for a BIOS. It returns an error if there is none of them.
func Recognise(d *disk.Disk) (Target, error) {
	t := Target{Format: description.FormatRaw, SectorSize: d.SectorSize}
	for _, r := range d.Regions {
		if r.Volume != nil && r.Volume.Filesystem.WholeDisk && r.In == nil {
			t.Format = description.FormatISO
		}
	}
	for _, arch := range arches {
		if startsUEFI(d, arch) {
			t.Arch, t.Firmware = arch, "uefi"
			return t, nil
		}
	}
	if arch := kernelArch(d); arch != "" && !bootloader.HasBIOS(arch) {
		t.Arch, t.Firmware = arch, "u-boot"
		return t, nil
	}
	if code, err := hasBootCode(d); err != nil || !code {
		return t, errors.Join(err, fmt.Errorf("in it there is no EFI program for %s, no menu with a kernel for %s and no boot code for a BIOS",
			strings.Join(arches, " or "), arches[1]))
	}
	t.Arch, t.Firmware = arches[0], "bios"
	return t, nil
}

// startsUEFI reports whether a file system that UEFI reads has the program that it starts by default.
func startsUEFI(d *disk.Disk, arch string) bool {
	for _, r := range d.Regions {
		if r.In == nil && r.Volume != nil && r.Volume.Filesystem.Firmware && r.Lookup(bootloader.RemovablePath(arch)) != nil {
			return true
		}
	}
	return false
}

// kernelArch returns the architecture of the first kernel in a menu whose header shows one, "" if there is none.
func kernelArch(d *disk.Disk) string {
	for _, r := range d.Regions {
		if r.Volume == nil {
			continue
		}
		entries, _ := menu.Read(r.Volume.Tree)
		for _, e := range entries {
			kernel := d.Lookup(e.Kernel)
			if kernel == nil || kernel.Kind() != tree.File {
				continue
			}
			if p, err := bootloader.ProgramOf(kernel.Blob()); err == nil && p.Arch != "" {
				return p.Arch
			}
		}
	}
	return ""
}

// hasBootCode reports whether there is code in the first sector, before the partition table.
func hasBootCode(d *disk.Disk) (bool, error) {
	const codeSize = 440 // bytes before the disk signature of an MBR
	code := make([]byte, codeSize)
	if _, err := d.Image().ReadAt(code, 0); err != nil {
		return false, err
	}
	return len(bytes.Trim(code, "\x00")) > 0, nil
}
