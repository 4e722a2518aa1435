package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// makingArchive is held while an archive is made, which several tests want.
var makingArchive sync.Mutex

// debianArchive returns the archive of a small Debian system with further packages. mmdebstrap makes it once, and it stays in build. Without
// mmdebstrap or a mirror the test is skipped, or fails where tools are required.
func debianArchive(t *testing.T, name, packages string) string {
	t.Helper()
	archive, err := filepath.Abs("../../build/debian/" + name + ".tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	makingArchive.Lock()
	defer makingArchive.Unlock()
	if _, err := os.Stat(archive); err == nil {
		return archive
	}
	hosttest.Need(t, "mmdebstrap", "zstd")
	mkdir(t, filepath.Dir(archive))
	fresh := strings.TrimSuffix(archive, ".tar.zst") + ".new.tar.zst"
	defer os.Remove(fresh)
	out, err := exec.CommandContext(t.Context(), "mmdebstrap", "--variant=minbase",
		"--include=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,"+packages, "bookworm", fresh).CombinedOutput()
	if err != nil {
		hosttest.Missing(t, fmt.Sprintf("needs mmdebstrap and a mirror of Debian: %v\n%s", err, out))
	}
	if err := os.Rename(fresh, archive); err != nil {
		t.Fatal(err)
	}
	return archive
}

// The systems of docs/debian.md, made by mmdebstrap, boot to the login prompt: from one disk by UEFI and by a BIOS with GRUB, which reads the root
// file system, and with the systemd-boot of the archive.
func TestDebian(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots three systems")
	}
	archive := debianArchive(t, "rootfs", "systemd-boot-efi")
	hosttest.NeedFile(t, "/usr/lib/grub/x86_64-efi/moddep.lst", "/usr/lib/grub/i386-pc/moddep.lst")
	hosttest.Need(t, "grub-mkimage")
	dir := public(t)
	for _, b := range blocksOf(t, "../../docs/debian.md") {
		if b.file != "" {
			writeFile(t, filepath.Join(dir, b.file), strings.ReplaceAll(b.text, `"rootfs.tar.zst"`, `"`+archive+`"`))
		}
	}
	images := map[string]string{}
	for _, name := range []string{"both", "web"} {
		images[name] = filepath.Join(dir, name+".raw")
		imprint(t, "build", filepath.Join(dir, name+".toml"), "-o", images[name])
		imprint(t, "verify", images[name])
	}
	for _, c := range []struct{ image, mode string }{{"both", "bios"}, {"both", "uefi"}, {"web", "uefi"}} {
		t.Run(c.image+" "+c.mode, func(t *testing.T) {
			t.Parallel()
			r := qemutest.Boot(t, qemutest.Options{Image: images[c.image], Mode: c.mode, Marker: " login: $", Bad: "emergency mode|Failed to mount", Timeout: 5 * time.Minute})
			if c.image == "web" && !strings.HasPrefix(r.Line, "web login") {
				t.Errorf("the prompt is %q: the name of the host is not that of the description", r.Line)
			}
		})
	}
}

// The live system of docs/iso.md boots to the login prompt from a CD, with its root file system in a squashfs that live-boot finds.
func TestLiveBoot(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("packs and boots a system")
	}
	archive := debianArchive(t, "live", "live-boot")
	hosttest.NeedFile(t, "/usr/lib/grub/x86_64-efi/moddep.lst", "/usr/lib/grub/i386-pc/moddep.lst")
	hosttest.Need(t, "grub-mkimage", "sqfstar")
	dir := public(t)
	for _, b := range blocksOf(t, "../../docs/iso.md") {
		if b.file == "live.toml" {
			writeFile(t, filepath.Join(dir, b.file), strings.ReplaceAll(b.text, `"rootfs.tar.zst"`, `"`+archive+`"`))
		}
	}
	iso := filepath.Join(dir, "live.iso")
	imprint(t, "build", filepath.Join(dir, "live.toml"), "-o", iso)
	imprint(t, "verify", iso)
	qemutest.Boot(t, qemutest.Options{Image: iso, Mode: "bios-cd", Marker: " login: $", Bad: "emergency mode|Unable to find a medium", Timeout: 5 * time.Minute})
}

const uBootText = `
name = "board"
arch = "aarch64"
[boot]
loader  = "extlinux"
timeout = 0
[[boot.entry]]
title  = "a kernel that does nothing"
kernel = "${partition.root}/boot/Image-*"
initrd = ["${partition.root}/boot/initrd"]
[[partition]]
name       = "root"
type       = "root"
filesystem = "ext4"
size       = "64MiB"
features   = ["^metadata_csum", "^64bit"]
  [[partition.tree]]
  source = "tree"
`

// U-Boot finds the menu in a root file system without anything else on the disk, and loads what the menu names in there.
func TestUBootWithOneRoot(t *testing.T) {
	t.Parallel()
	dir := public(t)
	image := make([]byte, 100_000) // the header of a kernel (Linux, Documentation/arch/arm64/booting.rst)
	copy(image, "MZ")
	binary.LittleEndian.PutUint64(image[16:], uint64(len(image)))
	copy(image[56:], "ARM\x64")
	mkdir(t, filepath.Join(dir, "tree/boot"))
	writeFile(t, filepath.Join(dir, "tree/boot/Image-6.1"), string(image))
	writeFile(t, filepath.Join(dir, "tree/boot/initrd"), "an initrd")
	writeFile(t, filepath.Join(dir, "board.toml"), uBootText)
	out := filepath.Join(dir, "board.raw")
	imprint(t, "build", filepath.Join(dir, "board.toml"), "-o", out)
	r := qemutest.Boot(t, qemutest.Options{Image: out, Mode: "aarch64-u-boot", Marker: "^Retrieving file: /boot/Image-6.1$", Bad: "No EFI system partition"})
	if !strings.Contains(r.Serial, "Found /boot/extlinux/extlinux.conf") || !strings.Contains(r.Serial, "Retrieving file: /boot/initrd") {
		t.Errorf("the console shows\n%s", r.Serial)
	}
}

// The example of steps makes a disk of a real Debian system: the archive as a base, a step that installs a package, a layer and an input. The second
// generation, with another layer, needs neither the archive nor another run of the step; the first one comes back by roll-back, and boots.
func TestDebianSteps(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a system")
	}
	needSandbox(t)
	archive := debianArchive(t, "rootfs", "systemd-boot-efi")
	b := seriesBox{layerBox{t, public(t)}}
	mkdir(t, b.path("build/debian"))
	mkdir(t, b.path("configs"))
	for from, to := range map[string]string{archive: "build/debian/rootfs.tar.zst", "../../LICENSE": "LICENSE", "../../configs/greeting": "configs/greeting"} {
		hosttest.Run(t, "cp", "-r", from, b.path(to))
	}
	byHash := fmt.Sprintf(`from = "tar:../build/debian/rootfs.tar.zst@sha256:%x"`, sha256.Sum256(read(t, archive)))
	text := strings.Replace(string(read(t, "../../configs/debian-steps.toml")), `source = "../build/debian/rootfs.tar.zst"`, byHash, 1)
	writeFile(t, b.path("configs/web.toml"), text)

	said := b.must("build", "configs/web.toml", "--series", "web", "-o", "web.raw")
	if !strings.Contains(said, "Setting up greeting (1.0)") || !strings.Contains(said, "generation 1 of web") {
		t.Errorf("it says %s", said)
	}
	if got := b.must("ls", "-l", "web.raw:root", "/var/lib"); !regexp.MustCompile(`(?m)^drwx.* greeting$`).MatchString(got) {
		t.Errorf("the package has made\n%s", got)
	}
	if err := os.Rename(b.path("web.raw"), b.path("first.raw")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.path("build/debian/rootfs.tar.zst")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, b.path("configs/greeting/files/etc/greeting"), "goodbye\n")
	said = b.must("build", "configs/web.toml", "--series", "web", "-o", "web.raw")
	if !strings.Contains(said, "step greeting: has run before: ") || !strings.Contains(said, "generation 2 of web") {
		t.Errorf("the second time it says %s", said)
	}
	if got := b.must("cat", "web.raw:root", "/etc/greeting"); got != "goodbye\n" {
		t.Errorf("the second generation has %q", got)
	}
	b.must("series", "roll-back", "web")
	b.must("series", "build", "web", "-o", "web.raw")
	sameFiles(t, b.path("web.raw"), b.path("first.raw"))
	qemutest.Boot(t, qemutest.Options{Image: b.path("web.raw"), Mode: "uefi", Marker: "greeting: hello from greeter, who owns .*:/var/lib/greeting", Bad: "Kernel panic|Failed to mount", Timeout: 5 * time.Minute})
}
