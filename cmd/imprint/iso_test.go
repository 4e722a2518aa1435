package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
	"imprint/internal/qemutest"
)

// isoDescription describes an ISO with two closures. Its arguments are the source's directory, the root of the first closure, the two roots
// of the second, and further keys of the partition with the store.
const isoDescription = `
name = "nix"
arch = "x86_64"
format = "iso"
[[source]]
path = %q
[[closure]]
name = "system"
roots = [%q]
profile = "system"
[[closure]]
name = "more"
roots = [%q, %q]
[boot]
loader = "grub"
timeout = 0
[[boot.entry]]
title = "nix"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
cmdline = "init=${closure.system}/init root=UUID=${iso.uuid} console=ttyS0 panic=-1 quiet"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "iso"
filesystem = "iso9660"
%s
closures = ["system", "more"]
[[partition.dir]]
path = "/dev"
[[partition.dir]]
path = "/proc"
[[partition.dir]]
path = "/sys"
`

const storeInside = `
[[partition]]
name = "root"
filesystem = "%[1]s"
inside = "iso"
path = "/nix-store.%[1]s"
`

// Nix finds a closure that it has built intact in an ISO, or in a file system in an ISO, does not collect it, and the ISO boots.
func TestRealNixInISO(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "xorriso", "sqfstar", "unsquashfs", "fsck.erofs", "grub-mkimage")
	build := func(t *testing.T, s *nixtest.Source, store string) string {
		dir := t.TempDir()
		file, image := filepath.Join(dir, "image.toml"), filepath.Join(dir, "nix.iso")
		writeFile(t, file, fmt.Sprintf(isoDescription, s.Root, s.System, s.Extra, s.Derivation, store))
		imprint(t, "build", file, "-o", image)
		if said := imprint(t, "verify", image); !strings.Contains(said, "no faults") {
			t.Error(said)
		}
		return image
	}
	judge := func(t *testing.T, s *nixtest.Source, tree nixtest.Tree) {
		s.Judge(t, nixtest.Target{Tree: tree, Roots: []string{s.System, s.Extra, s.Derivation}, Epoch: 1})
	}
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		s := nixtest.Make(t, nixtest.Options{Newline: true, ForISO: true})
		image := build(t, s, "")
		judge(t, s, nixtest.ExtractISO(t, image))
		bootISO(t, image, s.System)
	})
	for filesystem, extract := range map[string]func(testing.TB, string) nixtest.Tree{
		"squashfs": nixtest.ExtractSquashfs, "erofs": nixtest.ExtractEROFS,
	} {
		t.Run(filesystem, func(t *testing.T) {
			t.Parallel()
			s := nixtest.Make(t, nixtest.Options{Newline: true})
			image := build(t, s, fmt.Sprintf(storeInside, filesystem))
			judge(t, s, extract(t, filepath.Join(nixtest.ExtractISO(t, image).Root, "nix-store."+filesystem)))
			bootISO(t, image, s.System)
		})
	}
}

func bootISO(t *testing.T, image, system string) {
	t.Helper()
	r := qemutest.Boot(t, qemutest.Options{Image: image, Mode: "bios-cd", Marker: marker, Bad: failure, PowerOff: true})
	for _, want := range []string{"imprint: hello from " + system + "\n", "root is volatile, as asked\n"} {
		if !strings.Contains(r.Serial, want) {
			t.Errorf("no %q on the console:\n%s", want, r.Serial)
		}
	}
}

// The other program in the menu of an ISO starts by a BIOS and by UEFI.
func TestMemoryTestInISO(t *testing.T) {
	hosttest.NeedFile(t, "/boot/memtest86+x64.bin")
	dir := configs(t)
	file, iso := filepath.Join(dir, "memtest.toml"), filepath.Join(dir, "memtest.iso")
	text := string(read(t, filepath.Join(dir, "iso-memtest.toml")))
	writeFile(t, file, strings.Replace(text, "timeout = 3", "timeout = 0\ndefault = \"Memory test\"", 1))
	imprint(t, "build", file, "-o", iso)
	imprint(t, "verify", iso)
	for _, mode := range []string{"bios-cd", "uefi-cd"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			qemutest.Boot(t, qemutest.Options{Image: iso, Mode: mode, Marker: `Memtest86\+ v`, Memory: 256, Timeout: 5 * time.Minute})
		})
	}
}
