package bootloader

import (
	"fmt"
	"slices"

	"imprint/bootloader/pe"
	"imprint/internal/compressed"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// machines are the numbers of architectures in EFI programs (PE, "Machine Types").
var machines = map[uint16]string{0x8664: "x86_64", 0xaa64: "aarch64", 0x5064: "riscv64", 0x01c2: "arm", 0x01c4: "arm"}

// elfMachines are the numbers of architectures in ELF files of 64 bits (System V ABI, "e_machine").
var elfMachines = map[byte]string{0x3e: "x86_64", 0xb7: "aarch64", 0xf3: "riscv64"}

// ELFArch is the architecture of an ELF file of 64 bits, little-endian, by its first bytes; "" for other files, and for machines that are
// not known.
func ELFArch(head []byte) string {
	const class64, little = 2, 1
	if len(head) < 20 || string(head[:4]) != "\x7fELF" || head[4] != class64 || head[5] != little || head[19] != 0 {
		return ""
	}
	return elfMachines[head[18]]
}

// A Program is what the first bytes of a kernel or of a loader say about it.
type Program struct {
	EFI  bool   // it is an EFI program, which is all that UEFI firmware starts
	Arch string // of an EFI program; "" when its machine type is not a known one
	// Compressed is the program that has compressed it as a whole, "" for none.
	Compressed string
	ZBoot      bool // an EFI program that unpacks a kernel (Linux, drivers/firmware/efi/libstub/zboot-header.S)
	ELF        bool
	Linux      bool // it is a Linux kernel that a boot loader can start, not compressed
}

// isLinux looks for the magic number of a bzImage (Linux, Documentation/arch/x86/boot.rst) or of an Image (arch/arm64/booting.rst,
// arch/riscv/boot-image-header.rst).
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

// CheckKernel refuses a kernel that the loader does not start on machines of an architecture. The error is a [diag.Mistake]; doubt is one
// about a kernel that starts on some of them. An image without a loader may have any: who starts it from outside knows what it takes.
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
		return diag.Mistake{Text: "is an ELF file, as vmlinux is, and no boot loader starts that", Hint: "name the bzImage or Image that is made of it"}, nil
	case p.ZBoot && l.noZBoot != "":
		return diag.Mistake{Text: "is an EFI zboot image, which " + l.noZBoot, Hint: "name the Image that is in it"}, nil
	case p.ZBoot && l.newZBoot != "":
		return nil, diag.Mistake{Text: "is an EFI zboot image, which " + l.newZBoot, Hint: "name the Image that is in it, unless the loader is as new"}
	}
	return nil, nil
}
