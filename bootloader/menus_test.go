package bootloader

import (
	"strings"
	"testing"

	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

func menuConfig(parts ...Partition) Config {
	kernel := Source{Name: "abc-linux", Path: "/nix/store/abc/linux", Content: tree.Text("K")}
	initrd := func(text string) Source {
		return Source{Name: "abc-" + text, Path: "/nix/store/abc/" + text, Content: tree.Text(text)}
	}
	return Config{
		Machine: Machine{Arch: "x86_64", Table: "mbr", Partitions: parts},
		Inputs: map[string]tree.Blob{
			"lib/SYSLINUX/mbr.bin":               tree.Text("boot code"),
			"lib/syslinux/modules/bios/menu.c32": tree.Text("the menu"), "lib/syslinux/modules/bios/libutil.c32": tree.Text("its library"),
		},
		Timeout: 3, Default: 1, Console: []string{"ttyS0,115200"},
		Entries: []Entry{
			{Title: "Two", Kernel: kernel, Initrd: []Source{initrd("one"), initrd("two")}},
			{Title: "One", Kernel: kernel, Initrd: []Source{initrd("one")}, Cmdline: "init=/x quiet"},
		},
	}
}

func TestSyslinux(t *testing.T) {
	boot := Partition{Name: "dos", Number: 1, Type: "0x0c", Filesystem: "fat"}
	a, err := syslinux{}.Artifacts(menuConfig(boot, rootPartition))
	if err != nil {
		t.Fatal(err)
	}
	want := `-- dos /syslinux/syslinux.cfg --
SERIAL 0 115200
UI menu.c32
PROMPT 0
DEFAULT one
TIMEOUT 30
LABEL two
  MENU LABEL Two
  LINUX /syslinux/abc-linux
  INITRD /syslinux/two-initrd
LABEL one
  MENU LABEL One
  LINUX /syslinux/abc-linux
  INITRD /syslinux/abc-one
  APPEND init=/x quiet
-- dos /syslinux/menu.c32 --
the menu
-- dos /syslinux/libutil.c32 --
its library
-- dos /syslinux/abc-linux --
K
-- dos /syslinux/two-initrd --
one` + "\x00two\x00" + `
-- dos /syslinux/abc-one --
one
`
	if diff := cmp.Diff(want, listing(t, a.Files)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if a.Active != "dos" || a.Install != "dos" || string(a.BootCode.Bytes) != "boot code" {
		t.Errorf("%q is active, syslinux goes to %q, code %q", a.Active, a.Install, a.BootCode.Bytes)
	}
	c := menuConfig(boot)
	c.Inputs["lib/SYSLINUX/mbr.bin"] = tree.Text(strings.Repeat("x", 441))
	if _, err := (syslinux{}).Artifacts(c); err == nil || !strings.Contains(err.Error(), "441 bytes") {
		t.Errorf("boot code that is too long: %v", err)
	}
}

// On the store's own partition only several initrds are copied, since U-Boot wants one.
func TestExtlinux(t *testing.T) {
	a, err := extlinux{}.Artifacts(menuConfig(rootPartition))
	if err != nil {
		t.Fatal(err)
	}
	want := `-- root /extlinux/extlinux.conf --
MENU TITLE Boot
DEFAULT one
TIMEOUT 30
LABEL two
  MENU LABEL Two
  LINUX /nix/store/abc/linux
  INITRD /extlinux/two-initrd
LABEL one
  MENU LABEL One
  LINUX /nix/store/abc/linux
  INITRD /nix/store/abc/one
  APPEND init=/x quiet
-- root /extlinux/two-initrd --
one` + "\x00two\x00" + `
`
	if diff := cmp.Diff(want, listing(t, a.Files)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c := menuConfig(rootPartition, espPartition)
	if a, err = (extlinux{}).Artifacts(c); err != nil || a.Active != "root" || len(a.Files) != 2 {
		t.Errorf("without copies there are %d files, active is %q, %v", len(a.Files), a.Active, err)
	}
	c.CopyKernel = true
	if a, err = (extlinux{}).Artifacts(c); err != nil || a.Active != "firmware" || len(a.Files) != 4 {
		t.Errorf("%d files, active is %q, %v", len(a.Files), a.Active, err)
	}
	if _, err := (extlinux{}).Artifacts(menuConfig(biosPartition)); err == nil || !strings.Contains(err.Error(), "no partition for its menu") {
		t.Errorf("error %v", err)
	}
}

// Without a timeout there is no prompt.
func TestNoMenu(t *testing.T) {
	const plain = "PROMPT 0\nDEFAULT one\nTIMEOUT 1\n"
	for loader, want := range map[string]string{"syslinux": "SERIAL 0 115200\n" + plain, "extlinux": plain} {
		l, err := Named(loader)
		if err != nil {
			t.Fatal(err)
		}
		c := menuConfig(Partition{Name: "dos", Number: 1, Type: "0x0c", Filesystem: "fat", Store: true})
		c.Timeout = 0
		a, err := l.Artifacts(c)
		if err != nil || !strings.HasPrefix(content(t, a.Files[0].Content), want) {
			t.Errorf("%s, %v:\n%s", loader, err, content(t, a.Files[0].Content))
		}
	}
}

// A file is copied if U-Boot or GRUB would misread its path.
func TestPathsWithOtherMeanings(t *testing.T) {
	for _, loader := range []string{"extlinux", "grub"} {
		l, err := Named(loader)
		if err != nil {
			t.Fatal(err)
		}
		c := grubConfig(biosPartition, rootPartition)
		c.Entries = c.Entries[:1]
		c.Default = 0
		c.Entries[0].Initrd = nil
		for path, copies := range map[string]int{
			"/nix/store/abc/linux": 0, "/nix/store/a=?/linux#1": 1, "/nix/store/a/b\n  c": 1, "/nix/store/a=?/b": 0,
		} {
			c.Entries[0].Kernel.Path = path
			a, err := l.Artifacts(c)
			if err != nil || len(a.Files) != 1+copies {
				t.Errorf("%s, %q: %d files, %v", loader, path, len(a.Files), err)
			}
		}
	}
}
