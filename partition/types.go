package partition

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"imprint/internal/repro"
)

// Types that a boot loader looks for.
var (
	ESP      = uuid.MustParse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b") // the EFI system partition (UEFI 2.10, 13.3)
	XBOOTLDR = uuid.MustParse("bc13c2ff-59e6-4262-a352-b275fd6f7172") // the extended boot loader partition
	BIOSBoot = uuid.MustParse("21686148-6449-6e6f-744e-656564454649") // GRUB's core image, for a BIOS
)

// BasicData is the type of a partition that no system treats specially, such as an ISO's tree.
var BasicData = uuid.MustParse("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")

// types are the types of the Discoverable Partitions Specification that are the same on every architecture, and GRUB's BIOS
// boot partition, which is not in that specification.
var types = map[string]repro.UUID{
	"esp":           ESP,
	"xbootldr":      XBOOTLDR,
	"swap":          uuid.MustParse("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
	"home":          uuid.MustParse("933ac7e1-2eb4-4f13-b844-0e14e2aef915"),
	"srv":           uuid.MustParse("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"),
	"var":           uuid.MustParse("4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
	"tmp":           uuid.MustParse("7ec6f557-3bc5-4aca-b293-16ef5df639d1"),
	"user-home":     uuid.MustParse("773f91ef-66d4-49b5-bd83-d683bf40ad16"),
	"linux-generic": uuid.MustParse("0fc63daf-8483-4772-8e79-3d69d8477de4"),
	"bios-boot":     BIOSBoot,
}

// An archTypes is one type of the specification, with its GUID for each architecture.
type archTypes map[string]repro.UUID

// typesByArch are the types that depend on the architecture.
var typesByArch = map[string]archTypes{
	"root": {
		"x86_64":  uuid.MustParse("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
		"aarch64": uuid.MustParse("b921b045-1df0-41c3-af44-4c6f280d3fae"),
		"riscv64": uuid.MustParse("72ec70a6-cf74-40e6-bd49-4bda08e8f224"),
	},
	"root-verity": {
		"x86_64":  uuid.MustParse("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
		"aarch64": uuid.MustParse("df3300ce-d69f-4c92-978c-9bfb0f38d820"),
		"riscv64": uuid.MustParse("b6ed5582-440b-4209-b8da-5ff7c419ea3d"),
	},
	"root-verity-sig": {
		"x86_64":  uuid.MustParse("41092b05-9fc8-4523-994f-2def0408b176"),
		"aarch64": uuid.MustParse("6db69de6-29f4-4758-a7a5-962190f00ce3"),
		"riscv64": uuid.MustParse("efe0f087-ea8d-4469-821a-4c2a96a8386a"),
	},
	"usr": {
		"x86_64":  uuid.MustParse("8484680c-9521-48c6-9c11-b0720656f69e"),
		"aarch64": uuid.MustParse("b0e01050-ee5f-4390-949a-9101b17104e9"),
		"riscv64": uuid.MustParse("beaec34b-8442-439b-a40b-984381ed097d"),
	},
	"usr-verity": {
		"x86_64":  uuid.MustParse("77ff5f63-e7b6-4633-acf4-1565b864c0e6"),
		"aarch64": uuid.MustParse("6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"),
		"riscv64": uuid.MustParse("8f1056be-9b05-47c4-81d6-be53128e5b54"),
	},
	"usr-verity-sig": {
		"x86_64":  uuid.MustParse("e7bb33fb-06cf-4e81-8273-e543b413e2e2"),
		"aarch64": uuid.MustParse("c23ce4ff-44bd-4b00-b2d4-b41b3419e02a"),
		"riscv64": uuid.MustParse("d2f9000a-7a18-453f-b5cd-4d32f77a7b32"),
	},
}

// archInType is the spelling of each architecture in the names of types, as in "root-x86-64-verity".
var archInType = map[string]string{"x86_64": "x86-64", "aarch64": "arm64", "riscv64": "riscv64"}

// TypeGUID returns the GUID of a partition type: a name of the Discoverable Partitions Specification, which may depend on the
// architecture ("x86_64", "aarch64", "riscv64"), or a GUID as text.
func TypeGUID(name, arch string) (repro.UUID, error) {
	if id, ok := types[name]; ok {
		return id, nil
	}
	if ids, ok := typesByArch[name]; ok {
		if id, ok := ids[arch]; ok {
			return id, nil
		}
		return repro.UUID{}, fmt.Errorf("partition type %q is not defined for architecture %q", name, arch)
	}
	for base, ids := range typesByArch {
		for arch, id := range ids {
			if name == explicitType(base, arch) {
				return id, nil
			}
		}
	}
	id, err := uuid.Parse(name)
	if err != nil || len(name) != 36 || id == uuid.Nil {
		return repro.UUID{}, fmt.Errorf("partition type %q is neither a name of the Discoverable Partitions Specification nor a GUID", name)
	}
	return id, nil
}

// TypeName returns the name of a type that firmware or a boot loader looks for ("esp", "xbootldr" or "bios-boot"), whether
// text is that name, its GUID or its MBR number. Other text is returned as it is.
func TypeName(text string) string {
	if n, err := MBRType(text); err == nil {
		for _, name := range []string{"esp", "xbootldr"} {
			if n == mbrTypes[name] {
				return name
			}
		}
	}
	id, err := TypeGUID(text, "")
	if err != nil {
		return text
	}
	for _, name := range []string{"esp", "xbootldr", "bios-boot"} {
		if id == types[name] {
			return name
		}
	}
	return text
}

// TypeNeedsArch reports whether a name stands for a different type on each architecture.
func TypeNeedsArch(name string) bool {
	_, ok := typesByArch[name]
	return ok
}

// TypeNames returns the names that TypeGUID knows, sorted.
func TypeNames() []string {
	names := slices.Collect(maps.Keys(types))
	for base, ids := range typesByArch {
		names = append(names, base)
		for arch := range ids {
			names = append(names, explicitType(base, arch))
		}
	}
	slices.Sort(names)
	return names
}

// explicitType adds the architecture to a name: "root-verity" on "x86_64" is "root-x86-64-verity".
func explicitType(base, arch string) string {
	mount, kind, verity := strings.Cut(base, "-")
	name := mount + "-" + archInType[arch]
	if verity {
		name += "-" + kind
	}
	return name
}

// mbrTypes are the MBR types for names of the Discoverable Partitions Specification; all others stand for Linux file systems
// (UAPI group, "Boot Loader Specification"; UEFI 2.10, 5.2.2).
var mbrTypes = map[string]byte{"esp": 0xef, "xbootldr": 0xea, "swap": 0x82, "linux-generic": mbrLinux}

const mbrLinux = 0x83

// MBRType returns the type of an MBR entry for a name that TypeGUID knows, or for a number such as "0x0c".
func MBRType(name string) (byte, error) {
	if digits, ok := strings.CutPrefix(name, "0x"); ok {
		n, err := strconv.ParseUint(digits, 16, 8)
		if err != nil || len(digits) != 2 {
			return 0, fmt.Errorf("partition type %q is not a number of two hexadecimal digits, such as 0x0c", name)
		}
		return byte(n), nil
	}
	if n, ok := mbrTypes[name]; ok {
		return n, nil
	}
	if name == "bios-boot" {
		return 0, fmt.Errorf("an MBR has no partitions of type %q: boot code is before the first partition", name)
	}
	if slices.Contains(TypeNames(), name) {
		return mbrLinux, nil
	}
	return 0, fmt.Errorf("partition type %q is neither a name of the Discoverable Partitions Specification nor a number such as 0x0c", name)
}

// TypeOf is the name of a type GUID: the one that [TypeGUID] takes for every architecture, or the GUID where there is none.
func TypeOf(id repro.UUID) string {
	for name, known := range types {
		if known == id {
			return name
		}
	}
	for base, ids := range typesByArch {
		for arch, known := range ids {
			if known == id {
				return explicitType(base, arch)
			}
		}
	}
	return id.String()
}
