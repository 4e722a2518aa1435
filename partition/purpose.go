package partition

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/diag"
)

// A Purpose is what a partition of some type holds in place of a file system (Discoverable Partitions Specification, "Defined Partition
// Type UUIDs").
type Purpose struct {
	Holds string // "swap space"
	From  string // what makes it: "mkswap"
	Used  bool   // systemd uses it as that without being asked, unless it is marked as no-auto

	begins func(head []byte) bool
}

// PurposeHead is how many bytes of the content [Purpose.Begins] needs.
const PurposeHead = 64 << 10

// Begins reports whether content with the given first bytes may be what the partition is for. Any of them may be encrypted.
func (p *Purpose) Begins(head []byte) bool {
	return p.begins == nil || p.begins(head) || bytes.HasPrefix(head, []byte("LUKS\xba\xbe"))
}

var (
	swapSpace  = &Purpose{Holds: "swap space", From: "mkswap", Used: true, begins: isSwap}
	verityHash = &Purpose{Holds: "dm-verity hashes", From: "veritysetup", Used: true, begins: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("verity\x00\x00")) // cryptsetup, "DMVerity", superblock
	}}
	veritySignature = &Purpose{Holds: "a signed dm-verity root hash as JSON", From: "systemd-repart", Used: true, begins: func(head []byte) bool {
		return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
	}}
)

// purposes are what partitions are for, by the names of their types.
var purposes = map[string]*Purpose{
	"swap":        swapSpace,
	"root-verity": verityHash, "usr-verity": verityHash,
	"root-verity-sig": veritySignature, "usr-verity-sig": veritySignature,
	"bios-boot": {Holds: "GRUB's core image", From: "grub-mkimage"},
}

// isSwap reports whether there is the signature of swap space, which ends the first page, of any size that Linux has (mkswap(8)).
func isSwap(head []byte) bool {
	const signature = "SWAPSPACE2"
	for page := 4096; page <= len(head); page *= 2 {
		if string(head[page-len(signature):page]) == signature {
			return true
		}
	}
	return false
}

// PurposeOf returns what a partition is for whose type a description gives by name, by GUID or by its number in an MBR; nil where it
// may hold any file system.
func PurposeOf(text string) *Purpose { return purposes[plainType(text)] }

// IsForeign reports whether only who wrote a type knows what such a partition holds: it is a GUID or a number that has no name here.
func IsForeign(text string) bool { return plainType(text) == "" }

// plainType is the name of a type without an architecture in it, "" of one that has no name.
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

// fatTypes are the numbers of FAT volumes in an MBR, with the bits of an entry. Those of one width differ in whether sectors are counted
// in cylinders, which nobody does any more.
var fatTypes = map[byte]int{0x01: 12, 0x04: 16, 0x06: 16, 0x0e: 16, 0x0b: 32, 0x0c: 32}

// bestFATType is the number for a new FAT volume with entries of so many bits.
var bestFATType = map[int]byte{12: 0x01, 16: 0x0e, 32: 0x0c}

// IsFATType reports whether a description gives the type of an MBR's partition by one of the numbers of FAT volumes.
func IsFATType(text string) bool {
	n, err := MBRType(text)
	return err == nil && fatTypes[n] != 0
}

// CheckFATType refuses such a number for a volume with entries of another width in bits. The error is a [diag.Mistake].
func CheckFATType(text string, bits int) error {
	n, err := MBRType(text)
	if of := fatTypes[n]; err == nil && of != 0 && of != bits {
		return diag.Mistake{
			Text: fmt.Sprintf("0x%02x is the type of a FAT%d, and the volume is a FAT%d", n, of, bits),
			Hint: fmt.Sprintf("write type = \"0x%02x\", or choose another size", bestFATType[bits]),
		}
	}
	return nil
}

// Attributes of a GPT entry by which systemd goes, as numbers of bits (Discoverable Partitions Specification, "Partition Attribute Flags").
const (
	FlagGrowFS   = 59
	FlagReadOnly = 60
	FlagNoAuto   = 63
)

// undefinedFlags are attributes that the specification does not define for a type, so that they mean nothing there.
var undefinedFlags = map[string][]int{
	"esp": {FlagGrowFS, FlagReadOnly, FlagNoAuto}, "bios-boot": {FlagGrowFS, FlagReadOnly, FlagNoAuto}, "swap": {FlagGrowFS, FlagReadOnly},
	"root-verity": {FlagGrowFS}, "root-verity-sig": {FlagGrowFS}, "usr-verity": {FlagGrowFS}, "usr-verity-sig": {FlagGrowFS},
}

// DefinesFlag reports whether an attribute may mean something on a partition of a type.
func DefinesFlag(text string, bit int) bool {
	return !slices.Contains(undefinedFlags[plainType(text)], bit)
}
