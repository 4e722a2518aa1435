package partition

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imprint/internal/hosttest"
	"imprint/internal/repro"
)

func TestTypeGUID(t *testing.T) {
	for _, c := range []struct{ name, arch, want string }{
		{"esp", "", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"},
		{"bios-boot", "x86_64", "21686148-6449-6e6f-744e-656564454649"}, // the bytes spell "Hah!IdontNeedEFI"
		{"root", "x86_64", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"},
		{"root", "aarch64", "b921b045-1df0-41c3-af44-4c6f280d3fae"},
		{"root-riscv64", "x86_64", "72ec70a6-cf74-40e6-bd49-4bda08e8f224"},
		{"usr-arm64-verity-sig", "", "c23ce4ff-44bd-4b00-b2d4-b41b3419e02a"},
		{"0FC63DAF-8483-4772-8E79-3D69D8477DE4", "", "0fc63daf-8483-4772-8e79-3d69d8477de4"},
	} {
		if got, err := TypeGUID(c.name, c.arch); err != nil || got.String() != c.want {
			t.Errorf("TypeGUID(%q, %q) = %v, %v; want %s", c.name, c.arch, got, err, c.want)
		}
	}
	for _, c := range []struct{ name, arch, want string }{
		{"root", "", "not defined for architecture"},
		{"usr", "i686", "not defined for architecture"},
		{"rooot", "x86_64", "neither a name"},
		{"", "x86_64", "neither a name"},
		{"{0FC63DAF-8483-4772-8E79-3D69D8477DE4}", "", "neither a name"},
		{"0FC63DAF848347728E793D69D8477DE4", "", "neither a name"},
		{"00000000-0000-0000-0000-000000000000", "", "neither a name"}, // means that an entry is unused
	} {
		if _, err := TypeGUID(c.name, c.arch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("TypeGUID(%q, %q): error %v; want one with %q", c.name, c.arch, err, c.want)
		}
	}
}

func TestTypeNamesAreKnownAndDistinct(t *testing.T) {
	seen := map[repro.UUID]string{}
	for _, name := range TypeNames() {
		id, err := TypeGUID(name, "x86_64")
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[id]; ok && !TypeNeedsArch(name) && !TypeNeedsArch(other) {
			t.Errorf("%s and %s have one GUID", name, other)
		}
		seen[id] = name
	}
	if want := 10 + 6 + 6*3; len(TypeNames()) != want {
		t.Errorf("%d names; want %d", len(TypeNames()), want)
	}
}

// sfdisk knows the types by another hand; it tells them as "GUID  name". The one of user-home is not among them.
func TestTypesAsSfdiskKnowsThem(t *testing.T) {
	listed := hosttest.Run(t, "sfdisk", "--label", "gpt", "--list-types")
	names := map[repro.UUID]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s*([0-9A-F-]{36})\s+(.+)$`).FindAllStringSubmatch(listed, -1) {
		names[uuid.MustParse(m[1])] = m[2]
	}
	archs := map[string]string{"x86_64": "x86-64", "aarch64": "ARM-64", "riscv64": "RISC-V-64"}
	kinds := map[string]string{
		"root": "root", "root-verity": "root verity", "root-verity-sig": "root verity sign.",
		"usr": "/usr", "usr-verity": "/usr verity", "usr-verity-sig": "/usr verity sign.",
	}
	for base, ids := range typesByArch {
		for arch, id := range ids {
			if got, want := names[id], "Linux "+kinds[base]+" ("+archs[arch]+")"; got != want {
				t.Errorf("%s of %s is %q in sfdisk; want %q", base, arch, got, want)
			}
		}
	}
	for name, want := range map[string]string{
		"esp": "EFI System", "bios-boot": "BIOS boot", "swap": "Linux swap", "home": "Linux home", "srv": "Linux server data",
		"var": "Linux variable data", "tmp": "Linux temporary data", "linux-generic": "Linux filesystem", "xbootldr": "Linux extended boot",
	} {
		if got := names[types[name]]; got != want {
			t.Errorf("%s is %q in sfdisk; want %q", name, got, want)
		}
	}
}

func TestMBRType(t *testing.T) {
	for name, want := range map[string]byte{
		"esp": 0xef, "xbootldr": 0xea, "swap": 0x82, "root": 0x83, "home": 0x83, "linux-generic": 0x83, "root-x86-64": 0x83, "0x0c": 0x0c, "0xFF": 0xff,
	} {
		if got, err := MBRType(name); err != nil || got != want {
			t.Errorf("%s: %#x, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{
		"bios-boot": "boot code is before the first partition", "0xc": "two hexadecimal digits", "0x100": "two hexadecimal digits",
		"0xgg": "two hexadecimal digits", "rot": "neither a name", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "neither a name",
	} {
		if _, err := MBRType(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestTypeName(t *testing.T) {
	for text, want := range map[string]string{
		"esp": "esp", "0xef": "esp", "0xEF": "esp", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "esp", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B": "esp",
		"xbootldr": "xbootldr", "0xea": "xbootldr", "bc13c2ff-59e6-4262-a352-b275fd6f7172": "xbootldr",
		"bios-boot": "bios-boot", "21686148-6449-6e6f-744e-656564454649": "bios-boot",
		"root": "root", "0x83": "0x83", "": "", "x": "x", "0fc63daf-8483-4772-8e79-3d69d8477de4": "0fc63daf-8483-4772-8e79-3d69d8477de4",
	} {
		if got := TypeName(text); got != want {
			t.Errorf("%q is %q; want %q", text, got, want)
		}
	}
}
