package bootloader

import (
	"imprint/bootloader/pe"
	"imprint/internal/tree"
)

// machines are the numbers of architectures in EFI programs (PE, "Machine Types").
var machines = map[uint16]string{0x8664: "x86_64", 0xaa64: "aarch64", 0x5064: "riscv64", 0x01c2: "arm", 0x01c4: "arm"}

// A Program is what the first bytes of a kernel or of a loader say of it.
type Program struct {
	EFI  bool   // it begins as EFI programs do; firmware starts no others
	Arch string // of an EFI program, where it is told and known
}

// ProgramOf reads the first bytes of a program.
func ProgramOf(b tree.Blob) (Program, error) {
	head, err := tree.ReadHead(b, 4096)
	if err != nil {
		return Program{}, err
	}
	return Program{EFI: len(head) > 2 && string(head[:2]) == "MZ", Arch: machines[pe.Machine(head)]}, nil
}
