package bootloader

import (
	"bytes"
	"debug/pe"
	"os"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

func TestUKI(t *testing.T) {
	const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	hosttest.NeedFile(t, stub)
	program, err := os.ReadFile(stub)
	if err != nil {
		t.Fatal(err)
	}
	bzImage := make([]byte, 0x400)
	copy(bzImage[0x202:], "HdrS")
	bzImage[0x20e] = 0x80
	copy(bzImage[0x280:], "6.1.0-x (root@host) #1\x00")
	c := Config{
		Machine: Machine{Arch: "x86_64", Table: "gpt", Partitions: []Partition{{Name: "firmware", Type: "esp"}, {Name: "more", Type: "xbootldr"}}},
		Inputs:  map[string]tree.Blob{"lib/systemd/boot/efi/linuxx64.efi.stub": tree.Text(string(program))},
		Default: 1,
		Entries: []Entry{
			{Title: "old", Kernel: Source{Content: tree.Text("no bzImage")}},
			{Title: `a "new"`, Cmdline: "init=/x", Kernel: Source{Content: tree.Text(string(bzImage))}, Initrd: []Source{
				{Content: tree.Text("12345")}, {Content: tree.Text("6")},
			}, DeviceTree: DeviceTree{Source: Source{Content: tree.Text(deviceTreeMagic + "tree")}}},
		},
	}
	a, err := uki{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	paths := a.Files[0].Partition + ":" + a.Files[0].Path + " " + a.Files[1].Partition + ":" + a.Files[1].Path
	if paths != "more:/EFI/Linux/old.efi firmware:/EFI/BOOT/BOOTX64.EFI" {
		t.Errorf("files %s", paths)
	}
	old, err := pe.NewFile(strings.NewReader(content(t, a.Files[0].Content)))
	if err != nil || old.Section(".cmdline") != nil || old.Section(".uname") != nil || old.Section(".dtb") != nil || old.Section(".linux") == nil {
		t.Errorf("an entry without a command line: %v, %v", old, err)
	}
	f, err := pe.NewFile(strings.NewReader(content(t, a.Files[1].Content)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		".cmdline": "init=/x", ".uname": "6.1.0-x", ".initrd": "12345\x00\x00\x006\x00\x00\x00", ".linux": string(bzImage),
		".dtb": deviceTreeMagic + "tree", ".osrel": "ID=imprint\nPRETTY_NAME=\"a \\\"new\\\"\"\n",
	} {
		s := f.Section(name)
		if s == nil {
			t.Errorf("no section %s", name)
			continue
		}
		if got, err := s.Data(); err != nil || !bytes.Equal(got[:s.VirtualSize], []byte(want)) {
			t.Errorf("%s: %q, %v", name, got[:s.VirtualSize], err)
		}
	}
}

// A file that is no device tree would leave the kernel silent.
func TestDeviceTreeOfAnotherKind(t *testing.T) {
	for _, text := range []string{"", "/dts-v1/;"} {
		if err := checkDeviceTree(tree.Text(text)); err == nil || !strings.Contains(err.Error(), "no compiled device tree") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The version in a kernel's header is used if it can be one.
func TestLinuxVersion(t *testing.T) {
	kernel := func(at int, text string) string {
		k := make([]byte, 0x400)
		copy(k[0x202:], "HdrS")
		k[0x20e], k[0x20f] = byte(at), byte(at>>8)
		copy(k[min(len(k), 0x200+at):], text)
		return string(k)
	}
	for want, k := range map[string]string{
		"":         kernel(0, "6.1"),
		"6.1-x":    kernel(0x80, "6.1-x (root@host)\x00"),
		"6.1.end":  kernel(0x1f9, "6.1.end"),
		"(nobody)": kernel(0x80, "(nobody)\x00"),
	} {
		if got, err := linuxVersion(tree.Text(k)); err != nil || got != want {
			t.Errorf("version %q, want %q, %v", got, want, err)
		}
	}
	for _, k := range []string{
		"", "HdrS", kernel(0xffff, ""), kernel(0x80, "6.1\nx"), kernel(0x80, strings.Repeat("6", 65)), kernel(0x80, "6.1\xff"),
	} {
		if got, err := linuxVersion(tree.Text(k)); err != nil || got != "" {
			t.Errorf("version %q, %v", got, err)
		}
	}
}

func TestProgramOf(t *testing.T) {
	efi := func(machine string) string {
		return "MZ" + strings.Repeat("\x00", 0x3a) + "\x40\x00\x00\x00PE\x00\x00" + machine
	}
	for text, want := range map[string]Program{
		"":                {},
		"\x7fELF":         {ELF: true},
		"\x1f\x8b\x08":    {Compressed: "gzip"},
		"MZ\x00\x00zimg…": {EFI: true, ZBoot: true},
		"MZ, and no more": {EFI: true},
		efi("\x64\x86"):   {EFI: true, Arch: "x86_64"},
		efi("\x64\xaa"):   {EFI: true, Arch: "aarch64"},
		efi("\x64"):       {EFI: true},
		efi("\x12\x34"):   {EFI: true},
	} {
		if got, err := ProgramOf(tree.Text(text)); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}
