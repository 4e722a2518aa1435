// Package emulator knows how QEMU boots an image: the machine, the firmware, and how the image is attached.
package emulator

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"imprint/container"
	"imprint/image/description"
	"imprint/image/write"
	"imprint/internal/hosttool"
)

// A Machine is what QEMU needs to boot an image.
type Machine struct {
	Program         string
	Package         string   // Debian package with the program
	Firmware        string   // a file for -bios; "" for QEMU's own
	FirmwarePackage string   // Debian package with the firmware
	args            []string // without firmware and image
}

// machines are keyed by architecture and firmware.
var machines = map[[2]string]Machine{
	{"x86_64", "bios"}: pc("", ""),
	{"x86_64", None}:   pc("", ""),
	{"x86_64", "uefi"}: pc("/usr/share/ovmf/OVMF.fd", "ovmf", "-machine", "q35"),

	{"aarch64", None}:     arm("", ""),
	{"aarch64", "uefi"}:   arm("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64"),
	{"aarch64", "u-boot"}: arm("/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu"),
}

func pc(firmware, pkg string, args ...string) Machine {
	return Machine{"qemu-system-x86_64", "qemu-system-x86", firmware, pkg, args}
}

func arm(firmware, pkg string) Machine {
	return Machine{"qemu-system-aarch64", "qemu-system-arm", firmware, pkg, []string{"-machine", "virt", "-cpu", "max"}}
}

// For returns the machine for a target. It returns false if there is none.
func For(t Target) (Machine, bool) {
	found, ok := machines[[2]string{t.Arch, t.Firmware}]
	if t.Format == description.FormatISO && t.Arch == "x86_64" {
		found.args = nil // QEMU's default machine has an IDE CD drive, for which more kernels have a driver
	}
	return found, ok
}

// A Boot describes how an image is booted.
type Boot struct {
	Target  Target
	Image   string // a file, or a URI that QEMU understands
	Format  string // of the image, as QEMU calls it; "" for raw
	Discard bool   // discard what the guest writes

	// Export is a directory with boot files, and Entries its contents. An image without a boot loader boots the default entry.
	Export  string
	Entries []write.ExportedEntry
}

// Words returns the arguments of the command that boots the image, nil if there is none.
func (b Boot) Words() []string {
	found, ok := For(b.Target)
	i := slices.IndexFunc(b.Entries, func(e write.ExportedEntry) bool { return e.Default })
	if !ok || b.Target.Firmware == None && i < 0 {
		return nil
	}
	words := slices.Concat([]string{found.Program}, found.args, []string{"-m", "1024", "-nographic"})
	if found.Firmware != "" {
		words = append(words, "-bios", found.Firmware)
	}
	if b.Target.Firmware == None {
		words = append(words, kernelWords(b.Export, b.Entries[i])...)
	}
	return append(words, b.driveWords()...)
}

// Line returns the command quoted for a shell, "" if there is none.
func (b Boot) Line() string {
	words := b.Words()
	for i, w := range words {
		words[i] = hosttool.ShellWord(w)
	}
	return strings.Join(words, " ")
}

func kernelWords(export string, e write.ExportedEntry) []string {
	words := []string{"-kernel", filepath.Join(export, e.Kernel)}
	if e.Initrd != "" {
		words = append(words, "-initrd", filepath.Join(export, e.Initrd))
	}
	return append(words, "-append", e.Cmdline)
}

// driveWords returns the arguments that attach the image: an ISO as a read-only CD, any other disk with the sector size of its partition
// table. QEMU quotes a comma in a file name by doubling it.
func (b Boot) driveWords() []string {
	t, file := b.Target, ",format="+cmp.Or(b.Format, container.Raw)+",file="+strings.ReplaceAll(b.Image, ",", ",,")
	if b.Discard && t.Format != description.FormatISO {
		file += ",snapshot=on"
	}
	switch {
	case t.Format == description.FormatISO && t.Arch == "x86_64":
		return []string{"-drive", "media=cdrom" + file}
	case t.Format == description.FormatISO:
		return []string{"-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd", "-drive", "if=none,id=cd,media=cdrom" + file}
	case t.SectorSize != 512:
		device := fmt.Sprintf("virtio-blk-pci,drive=disk,logical_block_size=%d,physical_block_size=%[1]d", t.SectorSize)
		return []string{"-device", device, "-drive", "if=none,id=disk" + file}
	}
	return []string{"-drive", "if=virtio" + file}
}
