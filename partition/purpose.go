package partition

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/diag"
	"imprint/partition/swap"
)

// A Purpose is what partitions of a type hold instead of a file system (Discoverable Partitions Specification, "Defined
// Partition Type UUIDs").
type Purpose struct {
	Holds string // "swap space"
	From  string // what makes it: "mkswap"
	Used  bool   // systemd uses it automatically, unless it is marked no-auto

	begins func(head []byte) bool
}

// PurposeHead is the number of first bytes that [Purpose.Begins] needs.
const PurposeHead = 64 << 10

// Begins reports whether content with these first bytes may serve the purpose. Any of it may be encrypted with LUKS.
func (p *Purpose) Begins(head []byte) bool {
	return p.begins == nil || p.begins(head) || bytes.HasPrefix(head, []byte("LUKS\xba\xbe"))
}

var (
	swapSpace  = &Purpose{Holds: "swap space", From: "mkswap", Used: true, begins: func(head []byte) bool { return swap.PageSize(head) != 0 }}
	verityHash = &Purpose{Holds: "dm-verity hashes", From: "veritysetup", Used: true, begins: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("verity\x00\x00")) // cryptsetup, "DMVerity", superblock
	}}
	veritySignature = &Purpose{Holds: "a signed dm-verity root hash as JSON", From: "systemd-repart", Used: true, begins: func(head []byte) bool {
		return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
	}}
)

// purposes are the purposes of partitions, by the name of the type.
var purposes = map[string]*Purpose{
	"swap":        swapSpace,
	"root-verity": verityHash, "usr-verity": verityHash,
	"root-verity-sig": veritySignature, "usr-verity-sig": veritySignature,
	"bios-boot": {Holds: "GRUB's core image", From: "grub-mkimage"},
}

// PurposeOf returns the purpose of a partition whose type a description gives as a name, a GUID or an MBR number; nil for
// types that may hold any file system.
func PurposeOf(text string) *Purpose { return purposes[plainType(text)] }

// IsForeign reports whether a type is a GUID or number without a name here, so that only the author of the description knows
// what it holds.
func IsForeign(text string) bool { return plainType(text) == "" }

// plainType returns the name of a type without its architecture, "" if it has no name.
func plainType(text string) string {
	if strings.HasPrefix(text, "0x") {
		n, err := MBRType(text)
		for name, of := range mbrTypes {
			if err == nil && n == of {
				return name
			}
		}
		return ""
	}
	if _, ok := typesByArch[text]; ok {
		return text
	}
	id, err := TypeGUID(text, "")
	if err != nil {
		return ""
	}
	for name, of := range types {
		if id == of {
			return name
		}
	}
	for base, ids := range typesByArch {
		for _, of := range ids {
			if id == of {
				return base
			}
		}
	}
	return ""
}

// fatTypes maps the MBR types of FAT volumes to the bits of a FAT entry. Types of one width differ in whether they are
// addressed by cylinders, which is obsolete.
var fatTypes = map[byte]int{0x01: 12, 0x04: 16, 0x06: 16, 0x0e: 16, 0x0b: 32, 0x0c: 32}

// bestFATType is the type for a new FAT volume, by the bits of an entry.
var bestFATType = map[int]byte{12: 0x01, 16: 0x0e, 32: 0x0c}

// IsFATType reports whether a description gives an MBR type as one of the numbers of FAT volumes.
func IsFATType(text string) bool {
	n, err := MBRType(text)
	return err == nil && fatTypes[n] != 0
}

// FATBits returns the bits of an entry that an MBR type implies: 32 for 0x0b and 0x0c, since firmware that looks for them can read nothing
// else; 0 for other types, which have always been used for several widths.
func FATBits(text string) int {
	if n, err := MBRType(text); err == nil && fatTypes[n] == 32 {
		return 32
	}
	return 0
}

// CheckFATType reports such a number for a volume with entries of another width in bits. The error is a [diag.Mistake].
func CheckFATType(text string, bits int) error {
	n, err := MBRType(text)
	if of := fatTypes[n]; err == nil && of != 0 && of != bits {
		return diag.Mistake{
			Text: fmt.Sprintf("0x%02x is the type of a FAT%d, but the volume is a FAT%d", n, of, bits),
			Hint: fmt.Sprintf("write type = \"0x%02x\", or choose another size", bestFATType[bits]),
		}
	}
	return nil
}

// Attributes of a GPT entry that systemd interprets, as bit numbers (Discoverable Partitions Specification, "Partition
// Attribute Flags").
const (
	FlagGrowFS   = 59
	FlagReadOnly = 60
	FlagNoAuto   = 63
)

// undefinedFlags are attributes that the specification does not define for a type: they have no effect there.
var undefinedFlags = map[string][]int{
	"esp": {FlagGrowFS, FlagReadOnly, FlagNoAuto}, "bios-boot": {FlagGrowFS, FlagReadOnly, FlagNoAuto}, "swap": {FlagGrowFS, FlagReadOnly},
	"root-verity": {FlagGrowFS}, "root-verity-sig": {FlagGrowFS}, "usr-verity": {FlagGrowFS}, "usr-verity-sig": {FlagGrowFS},
}

// DefinesFlag reports whether an attribute may have an effect on a partition of a type.
func DefinesFlag(text string, bit int) bool {
	return !slices.Contains(undefinedFlags[plainType(text)], bit)
}

// mountPoints are where the running system mounts partitions of a type (Discoverable Partitions Specification, "Defined Partition Type UUIDs").
var mountPoints = map[string]string{
	"esp": "/efi", "xbootldr": "/boot", "home": "/home", "srv": "/srv", "var": "/var", "tmp": "/var/tmp", "usr": "/usr",
}

// MountPoint returns where the running system mounts partitions of a type, "" if the type does not say.
func MountPoint(text string) string { return mountPoints[plainType(text)] }

// IsVerityOf reports whether partitions of a type may hold the hash tree of those of another: any, unless the specification has a type for it.
func IsVerityOf(tree, data string) bool {
	of := plainType(data) + "-verity"
	if _, ok := typesByArch[of]; !ok {
		return purposes[plainType(tree)] == nil || plainType(tree) == ""
	}
	return plainType(tree) == of
}

// IsRoot reports whether a type is that of root file systems, for any architecture.
func IsRoot(text string) bool { return plainType(text) == "root" }

// IsSwap reports whether a type is that of swap space.
func IsSwap(text string) bool { return plainType(text) == "swap" }
