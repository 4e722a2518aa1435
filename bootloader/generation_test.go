package bootloader

import (
	"strings"
	"testing"

	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

// nixOSConfig boots two generations, of which the newer has a specialisation, and a system that is none.
func nixOSConfig(parts ...Partition) Config {
	file := func(item, below string) Source {
		return Source{Name: "a-" + item, Item: item, Path: strings.TrimSuffix("/nix/store/"+item+"/"+below, "/"), Content: tree.Text(item)}
	}
	generation := func(n int, specialisation string) *Generation {
		return &Generation{Distribution: "NixOS", Number: n, Current: n == 2, Specialisation: specialisation,
			Label: "NixOS 25.05 (Linux 6.12)", Version: "25.05", Built: "2026-01-31"}
	}
	newest := generation(2, "")
	special := generation(2, "quiet")
	special.SortKey = "special"
	linux := file("h2-linux", "lib/bzImage")
	c := Config{
		Machine: Machine{Arch: "x86_64", Table: "gpt", Partitions: parts},
		Inputs:  map[string]tree.Blob{"lib/systemd/boot/efi/systemd-bootx64.efi": tree.Text("B"), "lib/grub/x86_64-efi": tree.Text("G")},
		Entries: []Entry{
			{Title: newest.Title(), Kernel: linux, Initrd: []Source{file("h2-initrd", "initrd")}, Cmdline: "init=/2", Generation: newest},
			{Title: special.Title(), Kernel: linux, Initrd: []Source{file("h2-initrd", "initrd")}, Cmdline: "init=/q", Generation: special},
			{Title: "mine", Kernel: file("h1-linux", "bzImage"), Generation: generation(1, ""), DeviceTree: DeviceTree{Source: file("h1-dtb", "")}},
			{Title: "NixOS generation 1", Kernel: linux},
		},
		CopyKernel: true,
	}
	return c
}

// Files for systemd-boot have the names that NixOS's builder of its menu looks for.
func TestGenerationsInSystemdBoot(t *testing.T) {
	a, err := systemdBoot{}.Artifacts(nixOSConfig(espPartition))
	if err != nil {
		t.Fatal(err)
	}
	want := `-- firmware /EFI/BOOT/BOOTX64.EFI --
B
-- firmware /EFI/systemd/systemd-bootx64.efi --
B
-- firmware /loader/loader.conf --
timeout 0
default nixos-generation-2.conf
-- firmware /loader/entries/nixos-generation-2.conf --
title NixOS
sort-key nixos
version Generation 2 NixOS 25.05 (Linux 6.12), built on 2026-01-31
linux /EFI/nixos/h2-linux-bzImage.efi
initrd /EFI/nixos/h2-initrd-initrd.efi
options init=/2
-- firmware /loader/entries/nixos-generation-2-specialisation-quiet.conf --
title NixOS (quiet)
sort-key special
version Generation 2 NixOS 25.05 (Linux 6.12), built on 2026-01-31
linux /EFI/nixos/h2-linux-bzImage.efi
initrd /EFI/nixos/h2-initrd-initrd.efi
options init=/q
-- firmware /loader/entries/nixos-generation-1.conf --
title mine
sort-key nixos
version Generation 1 NixOS 25.05 (Linux 6.12), built on 2026-01-31
linux /EFI/nixos/h1-linux-bzImage.efi
devicetree /EFI/nixos/h1-dtb.efi
-- firmware /loader/entries/nixos-generation-1-2.conf --
title NixOS generation 1
sort-key imprint-003
linux /EFI/imprint/a-h2-linux
-- firmware /EFI/imprint/a-h2-linux --
h2-linux
-- firmware /EFI/nixos/h2-linux-bzImage.efi --
h2-linux
-- firmware /EFI/nixos/h2-initrd-initrd.efi --
h2-initrd
-- firmware /EFI/nixos/h1-linux-bzImage.efi --
h1-linux
-- firmware /EFI/nixos/h1-dtb.efi --
h1-dtb
`
	if diff := cmp.Diff(want, listing(t, a.Files)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// For GRUB it is the directory kernels of what the system mounts on /boot, and the titles are those of NixOS's menu.
func TestGenerationsInGRUB(t *testing.T) {
	for _, c := range []struct {
		parts []Partition
		dir   string
	}{{[]Partition{espPartition, rootPartition}, "/kernels/"}, {[]Partition{biosPartition, rootPartition}, "/boot/kernels/"}} {
		config := nixOSConfig(c.parts...)
		home, _ := grub{}.home(config.Machine)
		text, files, err := grub{}.config(config, home)
		if err != nil {
			t.Fatal(err)
		}
		for _, title := range []string{
			"menuentry --id nixos-generation-2 -- 'NixOS - Default' {", "-- 'NixOS - (quiet - 2026-01-31 - 25.05)' {", "--id nixos-generation-1 -- mine {",
			"linux ($disk" + string(rune('0'+home.Number)) + ")" + c.dir + "h2-linux-lib-bzImage init=/2\n",
		} {
			if !strings.Contains(text, title) {
				t.Errorf("there is no %q in\n%s", title, text)
			}
		}
		if got := files[1]; got.Path != c.dir+"h2-linux-lib-bzImage" || got.Partition != home.Name {
			t.Errorf("a kernel is %s of %s", got.Path, got.Partition)
		}
	}
}

func TestGenerationTitles(t *testing.T) {
	g := Generation{Distribution: "NixOS", Number: 7, Label: "L", Built: "D"}
	if got := g.Title(); got != "NixOS - Configuration 7 (D - L)" {
		t.Error(got)
	}
	if g.Specialisation = "s"; g.Title() != "NixOS - Configuration 7 - (s - D - L)" {
		t.Error(g.Title())
	}
}
