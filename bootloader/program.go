package bootloader

import (
	"fmt"
	"slices"

	"imprint/bootloader/pe"
	"imprint/internal/compressed"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// machines maps the machine types of EFI programs (PE, "Machine Types") to architectures.
var machines = map[uint16]string{0x8664: "x86_64", 0xaa64: "aarch64", 0x5064: "riscv64", 0x01c2: "arm", 0x01c4: "arm"}

// elfMachines maps the machine numbers of 64-bit ELF files (System V ABI, "e_machine") to architectures.
var elfMachines = map[byte]string{0x3e: "x86_64", 0xb7: "aarch64", 0xf3: "riscv64"}

// ELFArch returns the architecture of a 64-bit little-endian ELF file by its first bytes, "" for other files and unknown
// machines.
func ELFArch(head []byte) string {
	const class64, little = 2, 1
	if len(head) < 20 || string(head[:4]) != "\x7fELF" || head[4] != class64 || head[5] != little || head[19] != 0 {
		return ""
	}
	return elfMachines[head[18]]
}

// A Program describes a kernel or a loader, from its first bytes.
type Program struct {
	EFI  bool   // an EFI program; UEFI firmware starts nothing else
	Arch string // of an EFI program; "" if the machine type is unknown
	// Compressed is the name of the program that compressed the whole file, "" for none.
	Compressed string
	ZBoot      bool // an EFI program that unpacks a kernel (Linux, drivers/firmware/efi/libstub/zboot-header.S)
	ELF        bool
	Linux      bool // an uncompressed Linux kernel that a boot loader can start
}

// isLinux looks for the magic number of a bzImage (Linux, Documentation/arch/x86/boot.rst) or of an Image
// (arch/arm64/booting.rst, arch/riscv/boot-image-header.rst).
func isLinux(head []byte) bool {
	at := func(off int, magic string) bool {
		return len(head) >= off+len(magic) && string(head[off:off+len(magic)]) == magic
	}
	return at(0x202, "HdrS") || at(0x38, "ARM\x64") || at(0x38, "RSC\x05")
}

// ProgramOf reads the first bytes of a program.
func ProgramOf(b tree.Blob) (Program, error) {
	head, err := tree.ReadHead(b, 4096)
	if err != nil {
		return Program{}, err
	}
	efi := len(head) > 2 && string(head[:2]) == "MZ"
	return Program{
		EFI: efi, Arch: machines[pe.Machine(head)], Compressed: compressed.By(head),
		ZBoot: efi && len(head) > 8 && string(head[4:8]) == "zimg", ELF: len(head) >= 4 && string(head[:4]) == "\x7fELF",
		Linux: isLinux(head),
	}, nil
}

// CheckKernel reports a kernel that the loader cannot start on machines of an architecture. The error is a [diag.Mistake];
// doubt is one about a kernel that it can start on some of them. Without a loader every kernel is accepted: whoever starts it
// from outside knows what it takes.
func (l *Loader) CheckKernel(arch string, p Program) (refusal, doubt error) {
	by := p.Compressed
	without := "name one that is not compressed, such as the Image beside it, or unpack it (" + compressed.Unpack(by) + ")"
	switch {
	case l.None():
	case by != "" && slices.Contains(l.unpacks, by):
	case by != "" && slices.Contains(l.mayUnpack, by) && !HasBIOS(arch):
		return nil, diag.Mistake{Text: fmt.Sprintf("is compressed with %s, which %s", by, l.unpacksIf), Hint: without}
	case by != "":
		return diag.Mistake{Text: fmt.Sprintf("is compressed with %s, which %s does not unpack", by, l.Name), Hint: without}, nil
	case p.ELF:
		return diag.Mistake{Text: "is an ELF file, such as vmlinux, which no boot loader starts", Hint: "name the bzImage or Image made from it"}, nil
	case p.ZBoot && l.noZBoot != "":
		return diag.Mistake{Text: "is an EFI zboot image, which " + l.noZBoot, Hint: "name the Image that is in it"}, nil
	case p.ZBoot && l.newZBoot != "":
		return nil, diag.Mistake{Text: "is an EFI zboot image, which " + l.newZBoot, Hint: "name the Image that is in it, unless the loader is new enough"}
	}
	return nil, nil
}
