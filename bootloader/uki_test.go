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
			}},
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
	f, err := pe.NewFile(strings.NewReader(content(t, a.Files[1].Content)))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		".cmdline": "init=/x", ".uname": "6.1.0-x", ".initrd": "12345\x00\x00\x006\x00\x00\x00", ".linux": string(bzImage),
		".osrel": "ID=imprint\nPRETTY_NAME=\"a \\\"new\\\"\"\n",
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
