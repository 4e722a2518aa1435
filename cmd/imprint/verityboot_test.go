package main

import (
	"bytes"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// verityInit opens the root file system through its hash tree, with what the kernel command line says, and reads its files.
const verityInit = `asked() { tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p"; }
DM_DISABLE_UDEV=1 veritysetup open /dev/vda1 root /dev/vda2 "$(asked roothash)" || echo "imprint: FAIL: veritysetup"
mount -t erofs -o ro /dev/mapper/root /sysroot || echo "imprint: FAIL: mount"
for name in sound changed; do
	if said=$(cat /sysroot/$name 2>&1 >/dev/null); then echo "imprint: $name: read"; else echo "imprint: $name: $said"; fi
done`

const verityPartitions = `
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
	t.Parallel()
	hosttest.Need(t, "veritysetup")
	changed := strings.Repeat("what will change\n", 4096)
	image := guest{
		modules: []string{"virtio_pci", "virtio_blk", "erofs", "dm_verity"}, programs: []string{hosttest.Find(t, "veritysetup")},
		init: verityInit, cmdline: "roothash=${partition.root.roothash}", partitions: verityPartitions,
		files: map[string]string{"root/changed": changed, "root/sound": strings.Repeat("as it was\n", 4096)},
	}.build(t)
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
