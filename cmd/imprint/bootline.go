package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttool"
)

// A machine is what QEMU needs to boot an image.
type machine struct {
	program  string
	pkg      string   // the Debian package that has the program
	args     []string // without firmware and image
	firmware string   // a file for -bios; "" for QEMU's own
	firmPkg  string   // the Debian package that has that
}

// machines are the machines by architecture and firmware; with "none" QEMU starts the kernel itself.
var machines = map[[2]string]machine{
	{"x86_64", "bios"}: pc("", ""),
	{"x86_64", "none"}: pc("", ""),
	{"x86_64", "uefi"}: pc("/usr/share/ovmf/OVMF.fd", "ovmf", "-machine", "q35"),

	{"aarch64", "none"}:   arm("", ""),
	{"aarch64", "uefi"}:   arm("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "qemu-efi-aarch64"),
	{"aarch64", "u-boot"}: arm("/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu"),
}

func pc(firmware, pkg string, args ...string) machine {
	return machine{"qemu-system-x86_64", "qemu-system-x86", args, firmware, pkg}
}

func arm(firmware, pkg string) machine {
	return machine{"qemu-system-aarch64", "qemu-system-arm", []string{"-machine", "virt", "-cpu", "max"}, firmware, pkg}
}

// machineOf returns the machine for an image, and whether there is one.
func machineOf(m *plan.Manifest) (machine, bool) {
	firmware := m.Firmware()
	if m.Loader == "none" {
		firmware = "none"
	}
	found, ok := machines[[2]string{m.Arch, firmware}]
	if m.Format == description.FormatISO && m.Arch == "x86_64" {
		found.args = nil // QEMU's default machine has an IDE CD drive, for which more kernels have a driver
	}
	return found, ok
}

// bootLine returns a command that boots the image in QEMU, "" if there is none. An image without a loader boots the default
// entry of an export.
func bootLine(m *plan.Manifest, f buildFlags, entries []write.ExportedEntry) string {
	found, ok := machineOf(m)
	k := slices.IndexFunc(f.targetList, func(t *target) bool { return t.format.QEMU != "" })
	i := slices.IndexFunc(entries, func(e write.ExportedEntry) bool { return e.Default })
	if !ok || k < 0 || m.Loader == "none" && i < 0 {
		return ""
	}
	words := slices.Concat([]string{found.program}, found.args, []string{"-m", "1024", "-nographic"})
	if found.firmware != "" {
		words = append(words, "-bios", found.firmware)
	}
	if m.Loader == "none" {
		words = append(words, kernelWords(f.exportBoot, entries[i])...)
	}
	words = append(words, driveWords(m, f.targetList[k])...)
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

// driveWords returns the arguments that attach the image: an ISO as a CD, any other disk with the sector size of its partition
// table. A comma in a file name is doubled, which is QEMU's quoting.
func driveWords(m *plan.Manifest, t *target) []string {
	file := ",format=" + t.format.QEMU + ",file=" + strings.ReplaceAll(t.name, ",", ",,")
	switch {
	case m.Format == description.FormatISO && m.Arch == "x86_64":
		return []string{"-drive", "media=cdrom" + file}
	case m.Format == description.FormatISO:
		return []string{"-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd", "-drive", "if=none,id=cd,media=cdrom" + file}
	case m.SectorSize != 512:
		device := fmt.Sprintf("virtio-blk-pci,drive=disk,logical_block_size=%d,physical_block_size=%[1]d", m.SectorSize)
		return []string{"-device", device, "-drive", "if=none,id=disk" + file}
	}
	return []string{"-drive", "if=virtio" + file}
}
