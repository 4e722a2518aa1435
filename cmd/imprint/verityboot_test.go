package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/hosttest"
)

// verityInit opens the root file system through its hash tree, with what the kernel command line says, and reads its files.
const verityInit = `#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module.ko"; done < /modules/order
asked() { tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p"; }
DM_DISABLE_UDEV=1 veritysetup open /dev/vda1 root /dev/vda2 "$(asked roothash)" || echo "imprint: FAIL: veritysetup"
mount -t erofs -o ro /dev/mapper/root /sysroot || echo "imprint: FAIL: mount"
for name in sound changed; do
	if said=$(cat /sysroot/$name 2>&1 >/dev/null); then echo "imprint: $name: read"; else echo "imprint: $name: $said"; fi
done
echo "imprint: ready"
poweroff -f
`

const verityDisk = `name = "guest"
arch = "x86_64"
[boot]
loader = "none"
console = ["ttyS0,115200"]
[[boot.entry]]
title = "guest"
kernel = "linux"
initrd = ["initrd"]
cmdline = "roothash=${partition.root.roothash} panic=-1 quiet"
[[partition]]
name = "root"
type = "root"
filesystem = "erofs"
verity = "tree"
  [[partition.tree]]
  source = "root"
[[partition]]
name = "tree"
type = "root-verity"
filesystem = "none"
`

// The kernel reads a partition through its hash tree as long as it is what was written: a byte that has changed is an I/O error, others are not.
func TestVerityInGuest(t *testing.T) {
	hosttest.Need(t, "veritysetup")
	parts := demostore.Need(t)
	parts.Modules = []string{"virtio_pci", "virtio_blk", "erofs", "dm_verity"}
	initrd := guestInitrd(t, parts, verityInit, hosttest.Find(t, "veritysetup"))
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	changed := strings.Repeat("what will change\n", 4096)
	for name, text := range map[string]string{
		"guest.toml": verityDisk, "initrd": initrd, "linux": string(read(t, parts.Kernel.Image)), "root/changed": changed, "root/sound": strings.Repeat("as it was\n", 4096),
	} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	image := buildGuest(t, dir)
	content := read(t, image)
	at := bytes.Index(content, []byte(changed))
	if at < 0 {
		t.Fatal("the image does not contain the file")
	}
	content[at+9*4096] ^= 1
	writeFile(t, image, string(content))
	console := bootGuest(t, image, false)
	for _, line := range []string{"imprint: sound: read", "imprint: changed: cat: read error: Input/output error"} {
		if !strings.Contains(console, line) {
			t.Errorf("the console does not show %q:\n%s", line, console)
		}
	}
}
