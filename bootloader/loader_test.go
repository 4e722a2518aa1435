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

// A program other than Linux is for UEFI, and takes no initrd.
func TestCheckPlain(t *testing.T) {
	memtest, linux := Program{EFI: true}, Program{EFI: true, Linux: true}
	uefi := Machine{Arch: "x86_64", Table: "gpt", Partitions: []Partition{espPartition, rootPartition}}
	bios := Machine{Arch: "x86_64", Table: "gpt", Partitions: []Partition{biosPartition, rootPartition}}
	both := Machine{Arch: "x86_64", Table: "gpt", Partitions: []Partition{espPartition, biosPartition, rootPartition}}
	for _, c := range []struct {
		loader  string
		m       Machine
		p       Program
		initrds int
		starts  bool
	}{
		{"systemd-boot", uefi, memtest, 0, true},
		{"systemd-boot", uefi, memtest, 1, false},
		{"systemd-boot", uefi, linux, 1, true},
		{"grub", uefi, memtest, 0, true},
		{"grub", both, memtest, 0, true},
		{"grub", bios, memtest, 0, false},
		{"grub", bios, Program{Linux: true}, 0, true},
		{"syslinux", Machine{Arch: "x86_64", Table: "mbr"}, memtest, 0, false},
		{"extlinux", uefi, memtest, 0, false},
		{"extlinux", uefi, linux, 0, true},
		{"none", uefi, memtest, 0, true},
	} {
		l, err := Named(c.loader)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CheckPlain(c.m, c.p, c.initrds); (err == nil) != c.starts {
			t.Errorf("%s, %+v with %d initrds: %v", c.loader, c.p, c.initrds, err)
		}
	}
}

// Each loader accepts the kernels that it can start, such as compressed ones and EFI programs.
func TestCheckKernel(t *testing.T) {
	const starts, refuses, doubts = "starts", "refuses", "doubts"
	gz, xz, zboot, elf := Program{Compressed: "gzip"}, Program{Compressed: "xz"}, Program{EFI: true, ZBoot: true}, Program{ELF: true}
	for _, c := range []struct {
		loader, arch string
		kernel       Program
		want         string
	}{
		{"systemd-boot", "aarch64", Program{EFI: true}, starts},
		{"systemd-boot", "aarch64", zboot, starts},
		{"systemd-boot", "aarch64", gz, refuses},
		{"uki", "x86_64", xz, refuses},
		{"grub", "aarch64", gz, starts},
		{"grub", "x86_64", gz, starts},
		{"grub", "x86_64", xz, refuses},
		{"grub", "aarch64", zboot, doubts},
		{"grub", "x86_64", elf, refuses},
		{"extlinux", "aarch64", Program{}, starts},
		{"extlinux", "aarch64", gz, doubts},
		{"extlinux", "riscv64", Program{Compressed: "zstd"}, doubts},
		{"extlinux", "aarch64", xz, refuses},
		{"extlinux", "x86_64", gz, refuses},
		{"extlinux", "aarch64", zboot, refuses},
		{"extlinux", "riscv64", elf, refuses},
		{"syslinux", "x86_64", gz, refuses},
		{"syslinux", "x86_64", elf, refuses},
		{"none", "aarch64", gz, starts},
		{"none", "x86_64", elf, starts},
	} {
		l, err := Named(c.loader)
		if err != nil {
			t.Fatal(err)
		}
		got := starts
		switch refusal, doubt := l.CheckKernel(c.arch, c.kernel); {
		case refusal != nil:
			got = refuses
		case doubt != nil:
			got = doubts
		}
		if got != c.want {
			t.Errorf("%s on %s %s %+v, want %s", c.loader, c.arch, got, c.kernel, c.want)
		}
	}
}
