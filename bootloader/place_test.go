package bootloader

import (
	"strings"
	"testing"

	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

// systemPartition is a partition that is mounted as root, without a store.
func systemPartition(filesystem string) Partition {
	return Partition{Name: "root", Number: 3, Type: "root", Filesystem: filesystem, VolumeID: "0a1b", Root: true}
}

// inRoot lets the entries of a configuration boot files in the partition "root".
func inRoot(c Config) Config {
	for i := range c.Entries {
		c.Entries[i].Kernel = Source{Name: "0123-vmlinuz", Path: "/boot/vmlinuz", Partition: "root", Content: tree.Text("K")}
		c.Entries[i].Initrd = []Source{{Name: "4567-initrd", Path: "/boot/initrd.img", Partition: "root", Content: tree.Text("I")}}
	}
	return c
}

// One ext4 root is enough for GRUB on a BIOS: the menu is in it, and names what is there.
func TestGRUBInRoot(t *testing.T) {
	for _, c := range []struct {
		parts        []Partition
		copies       bool
		home, kernel string
		files        int // besides the menu
	}{
		{[]Partition{biosPartition, systemPartition("ext4")}, false, "root", "linux ($disk3)/boot/vmlinuz ", 0},
		{[]Partition{espPartition, systemPartition("ext4")}, false, "firmware", "linux ($disk3)/boot/vmlinuz ", 2},
		{[]Partition{espPartition, systemPartition("ext4")}, true, "firmware", "linux ($disk1)/EFI/imprint/0123-vmlinuz ", 4},
		{[]Partition{espPartition, systemPartition("erofs")}, false, "firmware", "linux ($disk1)/EFI/imprint/0123-vmlinuz ", 4},
		{[]Partition{biosPartition, {Name: "boot", Number: 4, Type: "xbootldr", Filesystem: "ext4", VolumeID: "77"}, systemPartition("ext4")}, true, "boot",
			"linux ($disk4)/EFI/imprint/0123-vmlinuz ", 2},
	} {
		config := inRoot(grubConfig(c.parts...))
		config.CopyKernel = c.copies
		a, err := grub{}.Artifacts(config)
		if err != nil {
			t.Error(err)
			continue
		}
		menu := ""
		for _, f := range a.Files {
			if f.Path == "/boot/grub/grub.cfg" && f.Partition == c.home {
				menu, _ = text(f.Content)
			}
		}
		if !strings.Contains(menu, c.kernel) || len(a.Files) != c.files+1 {
			t.Errorf("%v: %d files; the menu on %s is\n%s", c.parts, len(a.Files), c.home, menu)
		}
	}
	if _, err := (grub{}).Artifacts(grubConfig(biosPartition, systemPartition("erofs"))); err == nil || !strings.Contains(err.Error(), "no partition for its menu") {
		t.Errorf("a menu on a file system that GRUB does not read: %v", err)
	}
}

func text(b tree.Blob) (string, error) {
	all, err := tree.ReadAll(b, 1<<20)
	return string(all), err
}

func TestExtlinuxInRoot(t *testing.T) {
	c := inRoot(menuConfig(systemPartition("ext4")))
	c.Entries = c.Entries[:1]
	c.Default = 0
	a, err := extlinux{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `-- root /boot/extlinux/extlinux.conf --
MENU TITLE Boot
DEFAULT two
TIMEOUT 30
LABEL two
  MENU LABEL Two
  LINUX /boot/vmlinuz
  INITRD /boot/initrd.img
`
	if diff := cmp.Diff(want, listing(t, a.Files)); diff != "" || a.Active != "root" {
		t.Errorf("active is %q; -want +got:\n%s", a.Active, diff)
	}
	if r := (extlinux{}).Requires(Machine{Partitions: []Partition{systemPartition("erofs")}}); len(r.Partitions) != 1 || r.Partitions[0].Type != "xbootldr" {
		t.Errorf("without a partition for a menu it requires %v", r)
	}
}
