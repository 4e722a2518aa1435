package bootloader

import (
	"slices"
	"testing"
)

func TestNamed(t *testing.T) {
	for _, name := range Names() {
		l, err := Named(name)
		if err != nil || l.Name != name || l.None() != (name == "none") || l.ReadsStore != (len(l.reads) > 0) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	if l, err := Named(""); err != nil || !l.None() {
		t.Errorf("no name: %+v, %v", l, err)
	}
	for _, name := range Later() {
		if _, err := Named(name); err == nil || slices.Contains(Names(), name) {
			t.Errorf("%s is there already", name)
		}
	}
}

func TestCanRead(t *testing.T) {
	store := func(filesystem string, number int) Machine {
		return Machine{Partitions: []Partition{{Filesystem: "ext4", Number: 9}, {Filesystem: filesystem, Number: number, Store: true}}}
	}
	for _, c := range []struct {
		loader string
		m      Machine
		want   bool
	}{
		{"grub", store("ext4", 2), true},
		{"grub", store("iso9660", 1), true},
		{"grub", store("erofs", 2), false},
		{"grub", store("ext4", 0), false}, // a file of another partition
		{"extlinux", store("ext4", 1), true},
		{"extlinux", store("squashfs", 1), false},
		{"uki", store("ext4", 1), false},
		{"uki", Machine{}, true},
	} {
		if l, _ := Named(c.loader); l.CanRead(c.m) != c.want {
			t.Errorf("%s reads %+v: %v", c.loader, c.m, !c.want)
		}
	}
}
