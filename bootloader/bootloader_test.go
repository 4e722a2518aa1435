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
	kernel := Source{"abc-linux-bzImage", tree.Text("KERNEL")}
	c := Config{Arch: "x86_64", Timeout: 3, Binary: tree.Text("EFI"), Entries: []Entry{
		{Title: "Hello, World", Kernel: kernel, Initrd: []Source{{"abc-initrd-initrd", tree.Text("INITRD")}}, Cmdline: "init=/x quiet"},
		{Title: "hello world", Kernel: kernel},
	}}
	files, err := systemdBoot{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `-- esp /EFI/BOOT/BOOTX64.EFI --
EFI
-- esp /EFI/systemd/systemd-bootx64.efi --
EFI
-- esp /loader/loader.conf --
timeout 3
default hello-world.conf
-- esp /loader/entries/hello-world.conf --
title Hello, World
sort-key imprint-000
linux /EFI/imprint/abc-linux-bzImage
initrd /EFI/imprint/abc-initrd-initrd
options init=/x quiet
-- esp /EFI/imprint/abc-linux-bzImage --
KERNEL
-- esp /EFI/imprint/abc-initrd-initrd --
INITRD
-- esp /loader/entries/hello-world-2.conf --
title hello world
sort-key imprint-001
linux /EFI/imprint/abc-linux-bzImage
`
	if diff := cmp.Diff(want, listing(t, files)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c.XBOOTLDR = true
	files, err = systemdBoot{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		onESP := strings.HasPrefix(f.Path, "/EFI/BOOT") || strings.HasPrefix(f.Path, "/EFI/systemd") || f.Path == "/loader/loader.conf"
		if onESP != (f.Partition == "esp") {
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
