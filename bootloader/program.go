package bootloader

import (
	"imprint/bootloader/pe"
	"imprint/internal/tree"
)

// machines are the numbers of architectures in EFI programs (PE, "Machine Types").
var machines = map[uint16]string{0x8664: "x86_64", 0xaa64: "aarch64", 0x5064: "riscv64", 0x01c2: "arm", 0x01c4: "arm"}

// A Program is what the first bytes of a kernel or of a loader say about it.
type Program struct {
	EFI  bool   // it is an EFI program, which is all that UEFI firmware starts
	Arch string // of an EFI program; "" when its machine type is not a known one
}

// ProgramOf reads the first bytes of a program.
func ProgramOf(b tree.Blob) (Program, error) {
	head, err := tree.ReadHead(b, 4096)
	if err != nil {
		return Program{}, err
	}
	return Program{EFI: len(head) > 2 && string(head[:2]) == "MZ", Arch: machines[pe.Machine(head)]}, nil
}
