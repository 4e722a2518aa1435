package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/partition/iso9660"
	"imprint/image/xorriso"
	"imprint/internal/hosttest"
	"imprint/internal/stream"

	"golang.org/x/sys/unix"
)

const isoText = `
format = "iso"
epoch = 86400
[[closure]]
name = "system"
roots = ["%s"]
[[partition]]
name = "tree"
filesystem = "iso9660"
label = "TEST_1"
%s
closures = ["system"]
  [[partition.file]]
  path = "/etc/machine"
  text = "${iso.uuid} ${iso.label}"
  [[partition.tree]]
  source = "rootfs"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
  [[partition.file]]
  path = "/blob"
  source = "blob.bin"
`

const isoInside = `
[[partition]]
name = "root"
filesystem = "%s"
inside = "tree"
path = "/images/root"
`

func isoPlan(t *testing.T, inside string) (world, *Plan) {
	t.Helper()
	w, system := bootWorld(t)
	if inside != "" {
		inside = fmt.Sprintf(isoInside, inside)
	}
	p, err := w.plan(fmt.Sprintf(isoText, system, inside))
	if err != nil {
		t.Fatal(err)
	}
	return w, p
}

// What a plan says of an ISO can be read back, and every partition lies where the result says.
func TestISO(t *testing.T) {
	hosttest.Need(t, "xorriso")
	_, p := isoPlan(t, "")
	disk, l, result := build(t, p, WriteOptions{SHA256: true})
	if result.Size != int64(len(disk)) || l.Size < result.Size {
		t.Errorf("%d bytes, the result says %d and the layout at most %d", len(disk), result.Size, l.Size)
	}
	v, err := iso9660.Read(bytes.NewReader(disk), int64(len(disk)))
	if err != nil {
		t.Fatal(err)
	}
	if want := v.UUID() + " TEST_1"; v.ID != "TEST_1" || !bytes.Contains(disk, []byte(want)) || v.Created != "1970010200000000" {
		t.Errorf("volume %q, created %s, and no %q in it", v.ID, v.Created, want)
	}
	esp := result.Places[1]
	if fat := disk[esp.Offset : esp.Offset+esp.Size]; !bytes.Contains(fat[:90], []byte("FAT")) || fat[510] != 0x55 {
		t.Errorf("no FAT at %d", esp.Offset)
	}
	for _, path := range []string{"/etc/machine", "/etc/hosts", "/nix/var/nix/db/db.sqlite", p.Items[0].Info.Path.String()} {
		if v.Tree.Find(path) == nil {
			t.Errorf("no %s", path)
		}
	}
	again, _, other := build(t, p, WriteOptions{NoVerify: true})
	if !bytes.Equal(disk, again) || other.Digest != result.Digest || other.Digest == "" {
		t.Error("a second build gave other bytes, or another digest")
	}
	if err := l.ReadAt(make([]byte, 10), 0); err == nil {
		t.Error("the layout gives bytes that it does not know")
	}
}

// Sources that are not what they were are found, wherever in the ISO they lie.
func TestISOChangesAreFound(t *testing.T) {
	hosttest.Need(t, "xorriso", "sqfstar")
	for name, change := range map[string]func(w world){
		"item":   func(w world) { w.file("store"+w.path("lib")+"/doc/a", "x") },
		"shrunk": func(w world) { w.file("store"+w.path("lib")+"/lib.so", "short") },
		"gone":   func(w world) { os.Remove(w.dir + "/store" + w.path("lib") + "/doc/b") },
		"tree":   func(w world) { w.file("rootfs/etc/hosts", "127.0.0.3 localhost\n") },
		"ESP":    func(w world) { w.file("blob.bin", strings.Repeat("y", 100_000)) },
	} {
		for _, inside := range []string{"", "squashfs", "erofs"} {
			t.Run(name+" "+inside, func(t *testing.T) {
				w, p := isoPlan(t, inside)
				l, err := p.Layout()
				if err != nil {
					t.Fatal(err)
				}
				change(w)
				f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err = p.Write(context.Background(), f, l, WriteOptions{}); err == nil {
					t.Error("nothing was found")
				} else if inside == "" && (name == "item" || name == "tree") && !errors.Is(err, ErrMismatch) && !errors.Is(err, stream.ErrChanged) {
					t.Errorf("Write gave %v", err)
				}
				left, err := filepath.Glob(w.dir + "/.*-*")
				if err != nil || len(left) > 0 {
					t.Errorf("left over: %v, %v", left, err)
				}
			})
		}
	}
}

// What a file system of an ISO does not carry is told at the partition, with its path, before anything is written.
func TestISORefuses(t *testing.T) {
	const hint = "a squashfs that is a file of the ISO carries it"
	w, system := bootWorld(t)
	if err := os.Symlink("dir/", w.dir+"/rootfs/slash"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(w.dir+"/rootfs/fifo", 0o644); err != nil {
		t.Fatal(err)
	}
	for inside, want := range map[string]string{
		"":         `partition[0]: /fifo: a fifo cannot be in an ISO`,
		"squashfs": "",
		"erofs":    `partition[1]: /fifo: a fifo cannot be in an EROFS of ours`,
	} {
		text := fmt.Sprintf(isoText, system, "")
		if inside != "" {
			text = fmt.Sprintf(isoText, system, fmt.Sprintf(isoInside, inside))
		}
		p, err := w.plan(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Layout()
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: Layout gave %v", inside, err)
		}
	}
	os.Remove(w.dir + "/rootfs/fifo")
	p, err := w.plan(fmt.Sprintf(isoText, system, ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Layout(); err == nil || !strings.Contains(err.Error(), `partition[0]: /slash: link target "dir/" ends in a slash`) {
		t.Errorf("Layout gave %v", err)
	}
}

func TestVolumeID(t *testing.T) {
	for name, want := range map[string]string{
		"live": "LIVE", "nixos-24.05+x": "NIXOS_24_05_X", strings.Repeat("a", 40): strings.Repeat("A", 32), "Größe": "GR__E",
	} {
		if got := volumeID(name); got != want {
			t.Errorf("%s becomes %s, not %s", name, got, want)
		}
	}
	for _, n := range []uint32{0, 1, 1<<32 - 1} {
		if id := xorriso.UUID(modified(n)); len(id) != 22 || id < "1980" || id > "2100" {
			t.Errorf("%d becomes %s", n, id)
		}
	}
}

// An initrd is told where the root file system is and that it is volatile, if it is.
func TestRootWords(t *testing.T) {
	yes, no := true, false
	tree, root := PartitionDescription{Filesystem: "iso9660"}, PartitionDescription{Filesystem: "erofs", Inside: "tree", Path: "/r", Closures: []string{"x"}}
	for want, d := range map[string]Description{
		"systemd.volatile=overlay":                  {Format: "iso", Partition: []PartitionDescription{tree}},
		"imprint.image=/r systemd.volatile=overlay": {Format: "iso", Partition: []PartitionDescription{tree, root}},
		"imprint.image=/r":                          {Format: "iso", Partition: []PartitionDescription{tree, {Inside: "tree", Path: "/r", Volatile: &no}}},
		"":                                          {Partition: []PartitionDescription{{Filesystem: "ext4", Closures: []string{"x"}}}},
		"systemd.volatile=overlay ":                 {Partition: []PartitionDescription{{Filesystem: "ext4", Volatile: &yes}}},
	} {
		if got := strings.Join(withDefaults(d).rootWords(), " "); got != strings.TrimSpace(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
