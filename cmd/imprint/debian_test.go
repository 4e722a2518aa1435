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
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// debianArchive returns the archive of a small Debian system with further packages. mmdebstrap makes it once, and it stays in build. Without
// mmdebstrap or a mirror the test is skipped, or fails where tools are required.
func debianArchive(t *testing.T, name, packages string) string {
	t.Helper()
	archive, err := filepath.Abs("../../build/debian/" + name + ".tar.zst")
	if err != nil {
		t.Fatal(err)
	}
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

// control and postinst are of a package that makes a user, as many do.
const (
	control  = "Package: greeting\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a greeting\n"
	postinst = "#!/bin/sh\nset -e\nuseradd --system --create-home --home-dir /var/lib/greeting greeter\nchown -R greeter: /var/lib/greeting\n"
	greeting = "#!/bin/sh\necho\necho \"$(cat /etc/greeting) for $(stat -c %U /var/lib/greeting)\"\nexec sleep 1000\n"
)

const stepsOfDebian = `
name = "greeting"
arch = "x86_64"
[boot]
loader  = "systemd-boot"
timeout = 0
[[boot.entry]]
title   = "Debian"
kernel  = "${partition.root}/boot/vmlinuz-*"
initrd  = ["${partition.root}/boot/initrd.img-*"]
cmdline = "root=PARTUUID=${partition.root.partuuid} rw console=ttyS0 quiet init=/usr/bin/greeting"
[[input]]
name     = "greeting"
sha256   = "DIGEST"
locators = ["file:greeting.deb"]
[[step]]
name   = "greeting"
run    = ["dpkg", "-i", "/greeting.deb"]
inputs = [{ source = "${input.greeting}", target = "/greeting.deb" }]
[[partition]]
name       = "esp"
type       = "esp"
filesystem = "fat"
size       = "128MiB"
[[partition]]
name       = "root"
type       = "root"
filesystem = "ext4"
  [[partition.layer]]
  from = "tar:ARCHIVE"
  [[partition.layer]]
  step = "greeting"
  [[partition.layer]]
  source = "files"
`

// A base of Debian, a step that installs a package, a layer and an input become a disk that boots. The second time the step is found.
func TestDebianStep(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a system")
	}
	needSandbox(t)
	hosttest.Need(t, "dpkg-deb")
	archive := debianArchive(t, "rootfs", "systemd-boot-efi")
	b := stepBox{layerBox{t, public(t)}}
	for name, text := range map[string]string{"pkg/DEBIAN/control": control, "pkg/DEBIAN/postinst": postinst, "pkg/usr/bin/greeting": greeting, "files/etc/greeting": "a greeting\n"} {
		mkdir(t, filepath.Dir(filepath.Join(b.dir, name)))
		writeFile(t, filepath.Join(b.dir, name), text)
		os.Chmod(filepath.Join(b.dir, name), 0o755)
	}
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "--build", filepath.Join(b.dir, "pkg"), filepath.Join(b.dir, "greeting.deb")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	digest := func(path string) string { return fmt.Sprintf("%x", sha256.Sum256(read(t, path))) }
	text := strings.NewReplacer("ARCHIVE", archive+"@sha256:"+digest(archive), "DIGEST", digest(filepath.Join(b.dir, "greeting.deb"))).Replace(stepsOfDebian)
	writeFile(t, filepath.Join(b.dir, "web.toml"), text)
	if said := b.must("build", "web.toml", "-o", "web.raw"); !strings.Contains(said, "Setting up greeting (1.0)") {
		t.Errorf("it says %s", said)
	}
	if got := b.must("ls", "-l", "web.raw:root", "/var/lib"); strings.Contains(got, " 0:0 ") && !regexp.MustCompile(`(?m)^drwx.* [1-9][0-9]*:[1-9][0-9]* .* greeting$`).MatchString(got) {
		t.Errorf("the package has made\n%s", got)
	}
	if said := b.must("plan", "web.toml"); !strings.Contains(said, "greeting  has run") {
		t.Errorf("plan says %s", said)
	}
	qemutest.Boot(t, qemutest.Options{Image: filepath.Join(b.dir, "web.raw"), Mode: "uefi", Marker: "^a greeting for greeter", Bad: "Kernel panic|Failed to mount", Timeout: 5 * time.Minute})
}
