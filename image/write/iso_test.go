package write_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/partition/iso9660"
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

func isoPlan(t *testing.T, inside string) (imagetest.World, *plan.Plan) {
	t.Helper()
	w, system := imagetest.Boot(t)
	if inside != "" {
		inside = fmt.Sprintf(isoInside, inside)
	}
	p, err := w.Plan(fmt.Sprintf(isoText, system, inside))
	if err != nil {
		t.Fatal(err)
	}
	return w, p
}

// What a plan says of an ISO can be read back, and every partition lies where the result says.
func TestISO(t *testing.T) {
	_, p := isoPlan(t, "")
	disk, l, result := imagetest.Build(t, p, write.Options{SHA256: true})
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, disk) {
		t.Fatalf("the layout differs from the disk at byte %d", imagetest.FirstDifference(whole, disk))
	}
	v, err := iso9660.Read(bytes.NewReader(disk), int64(len(disk)))
	if err != nil {
		t.Fatal(err)
	}
	if want := v.UUID() + " TEST_1"; v.ID != "TEST_1" || !bytes.Contains(disk, []byte(want)) || v.Created != "1970010200000000" {
		t.Errorf("volume %q, created %s, and no %q in it", v.ID, v.Created, want)
	}
	esp := l.Regions[1]
	if fat := disk[esp.Offset : esp.Offset+esp.Size]; !bytes.Contains(fat[:90], []byte("FAT")) || fat[510] != 0x55 {
		t.Errorf("no FAT at %d", esp.Offset)
	}
	for _, path := range []string{"/etc/machine", "/etc/hosts", "/nix/var/nix/db/db.sqlite", p.Items[0].Info.Path.String()} {
		if v.Tree.Find(path) == nil {
			t.Errorf("no %s", path)
		}
	}
	again, _, other := imagetest.Build(t, p, write.Options{NoVerify: true})
	if !bytes.Equal(disk, again) || other.Digests.Image != result.Digests.Image || other.Digests.Image == "" {
		t.Error("a second build gave other bytes, or another digest")
	}
}

// What an ISO does not carry is reported at its partition, with the path, before anything is written; a file system inside of it does.
func TestISORefuses(t *testing.T) {
	w, system := imagetest.Boot(t)
	w.File("rootfs/"+strings.Repeat("n", 254), "")
	if err := unix.Mkfifo(w.Dir+"/rootfs/fifo", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dir/", w.Dir+"/rootfs/slash"); err != nil {
		t.Fatal(err)
	}
	const refused = "partition[0]: "
	for inside, want := range map[string]string{"": "254 bytes", "squashfs": "", "erofs": ""} {
		text := fmt.Sprintf(isoText, system, "")
		if inside != "" {
			text = fmt.Sprintf(isoText, system, fmt.Sprintf(isoInside, inside))
		}
		p, err := w.Plan(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Layout(nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", inside, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), refused) || !strings.Contains(err.Error(), "as a file of this one")):
			t.Errorf("%s: Layout gave %v", inside, err)
		}
	}
}
