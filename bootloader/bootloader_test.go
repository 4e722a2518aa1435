package bootloader

import (
	"io"
	"strings"
	"testing"

	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

func content(t *testing.T, b tree.Blob) string {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := make([]byte, b.Size())
	if _, err := r.ReadAt(p, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return string(p)
}

func listing(t *testing.T, files []File) string {
	var b strings.Builder
	for _, f := range files {
		b.WriteString("-- " + f.Partition + " " + f.Path + " --\n" + content(t, f.Content))
		if !strings.HasSuffix(b.String(), "\n") {
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestSystemdBoot(t *testing.T) {
	kernel := Source{Name: "abc-linux-bzImage", Content: tree.Text("KERNEL")}
	c := Config{
		Machine: Machine{Arch: "x86_64", Partitions: []Partition{{Name: "firmware", Type: "esp"}}},
		Inputs:  map[string]tree.Blob{"lib/systemd/boot/efi/systemd-bootx64.efi": tree.Text("EFI")},
		Timeout: 3,
		Default: 1,
		Entries: []Entry{
			{
				Title: "Hello, World", Kernel: kernel, Cmdline: "init=/x quiet",
				Initrd: []Source{{Name: "abc-initrd-initrd", Content: tree.Text("INITRD")}},
			},
			{Title: "hello world", Kernel: kernel},
		},
	}
	a, err := systemdBoot{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `-- firmware /EFI/BOOT/BOOTX64.EFI --
EFI
-- firmware /EFI/systemd/systemd-bootx64.efi --
EFI
-- firmware /loader/loader.conf --
timeout 3
default hello-world-2.conf
-- firmware /loader/entries/hello-world.conf --
title Hello, World
sort-key imprint-000
linux /EFI/imprint/abc-linux-bzImage
initrd /EFI/imprint/abc-initrd-initrd
options init=/x quiet
-- firmware /loader/entries/hello-world-2.conf --
title hello world
sort-key imprint-001
linux /EFI/imprint/abc-linux-bzImage
-- firmware /EFI/imprint/abc-linux-bzImage --
KERNEL
-- firmware /EFI/imprint/abc-initrd-initrd --
INITRD
`
	if diff := cmp.Diff(want, listing(t, a.Files)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c.Partitions = append(c.Partitions, Partition{Name: "more", Type: "xbootldr"})
	a, err = systemdBoot{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		onESP := strings.HasPrefix(f.Path, "/EFI/BOOT") || strings.HasPrefix(f.Path, "/EFI/systemd") || f.Path == "/loader/loader.conf"
		if onESP != (f.Partition == "firmware") {
			t.Errorf("%s lies on the %s partition", f.Path, f.Partition)
		}
	}
}

func TestIDs(t *testing.T) {
	entries := []Entry{{Title: "A"}, {Title: "a"}, {Title: "ä/ö"}, {Title: "../x"}, {Title: strings.Repeat("n", 100)}, {Title: "a-2"}}
	want := []string{"a", "a-2", "entry", "x", strings.Repeat("n", 64), "a-2-2"}
	if diff := cmp.Diff(want, IDs(entries)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
