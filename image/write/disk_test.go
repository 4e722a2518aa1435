package write_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/gpt"
	"imprint/image/imagetest"
	"imprint/image/mbr"
	"imprint/image/write"
	"imprint/internal/hosttest"
)

// The layout, read at any offset with no disk there, is what Write writes; and Write writes the same however many workers there are.
func TestLayoutIsTheDisk(t *testing.T) {
	w, system := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(imagetest.Bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, result := imagetest.Build(t, p, write.Options{SHA256: true})
	if int64(len(disk)) != l.Size {
		t.Fatalf("the disk has %d bytes, the layout %d", len(disk), l.Size)
	}
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, disk) {
		t.Fatalf("the layout differs from the disk at byte %d", imagetest.FirstDifference(whole, disk))
	}
	random := rand.New(rand.NewSource(2))
	for range 300 {
		off := random.Int63n(l.Size)
		part := bytes.Repeat([]byte{0xaa}, int(random.Int63n(min(100_000, l.Size-off))))
		if err := l.ReadAt(part, off); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(part, disk[off:off+int64(len(part))]) {
			t.Fatalf("%d bytes at %d differ from the disk", len(part), off)
		}
	}
	if sum := sha256.Sum256(disk); fmt.Sprintf("%x", sum) != result.Digests.SHA256 {
		t.Error("the SHA-256 is not that of the disk")
	}
	again, _, other := imagetest.Build(t, p, write.Options{})
	if !bytes.Equal(again, disk) || other.Digests.Image != result.Digests.Image {
		t.Error("a second build gave other bytes")
	}
	quick, _, _ := imagetest.Build(t, p, write.Options{NoVerify: true, NoDigest: true})
	if !bytes.Equal(quick, disk) {
		t.Error("a build without hashes gave other bytes")
	}
}

// FAT has no hard links: each name of a file that a tar archive links has the content, whatever else is on the disk.
func TestHardLinksOnFAT(t *testing.T) {
	var archive bytes.Buffer
	to := tar.NewWriter(&archive)
	for _, h := range []*tar.Header{{Name: "a", Size: 6, Typeflag: tar.TypeReg}, {Name: "b", Linkname: "a", Typeflag: tar.TypeLink}, {Name: "c/d", Linkname: "a", Typeflag: tar.TypeLink}} {
		if err := to.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte("linked")[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	to.Close()
	fat := "[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"fat\"\n[[partition.tree]]\nsource = \"links.tar\"\n"
	for _, more := range []string{"", fmt.Sprintf(store, "%s") + "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"system\"]\n"} {
		w, system := imagetest.Boot(t)
		w.File("links.tar", archive.String())
		p, err := w.Plan(strings.ReplaceAll(more, "%s", system) + fat)
		if err != nil {
			t.Fatal(err)
		}
		disk, l, _ := imagetest.Build(t, p, write.Options{})
		sameAsLayout(t, disk, l)
		if n := bytes.Count(disk, []byte("linked")); n != 3 {
			t.Errorf("the content is there %d times", n)
		}
	}
}

// The digests in the result are what fsverity-utils compute of the disk and of its partitions.
func TestDigest(t *testing.T) {
	w, system := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(imagetest.Bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, _, result := imagetest.Build(t, p, write.Options{})
	check := func(name string, content []byte, got string) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		want, _, _ := strings.Cut(hosttest.Run(t, "fsverity", "digest", file), " ")
		if got != "fsverity-"+want {
			t.Errorf("%s: digest %s; its bytes have %s", name, got, want)
		}
	}
	check("disk", disk, result.Digests.Image)
	for i, region := range result.Layout.Regions {
		off, size, _ := region.Range()
		check(fmt.Sprint("region ", i), disk[off:][:size], result.Digests.Partitions[i])
	}
}

// What is written can be read back: the table, boot entries with every reference replaced, and the store's registration.
func TestDiskHolds(t *testing.T) {
	w, system := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(imagetest.Bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := imagetest.Build(t, p, write.Options{})
	table, err := gpt.Read(bytes.NewReader(disk), int64(len(disk)), 512)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range table.Partitions {
		r := l.Regions[i]
		if part.Name != r.Partition.Spec.Name || part.Start*512 != r.Offset || part.Sectors*512 != r.Size || part.UUID != r.Partition.PartUUID {
			t.Errorf("partition %d is %+v", i+1, part)
		}
		if part.Start%2048 != 0 || part.Sectors%2048 != 0 {
			t.Errorf("partition %d is not on the grain: %+v", i+1, part)
		}
	}
	root := p.Partitions[2]
	cmdline := fmt.Sprintf("options init=%s/init root=PARTUUID=%v disk=%v\n", system, root.PartUUID, p.DiskGUID)
	for _, text := range []string{cmdline, "an initrd of the host", root.Spec.UUID.String() + " $HOME", "127.0.0.1 localhost"} {
		if !bytes.Contains(disk, []byte(text)) {
			t.Errorf("the disk does not hold %q", text)
		}
	}
	for path, target := range map[string]string{
		"/nix/var/nix/profiles/system":              "system-1-link",
		"/nix/var/nix/profiles/system-1-link":       system,
		"/run/booted":                               system,
		strings.TrimPrefix(system, "/") + "/broken": "nowhere",
	} {
		n := root.Spec.Tree.Find(path)
		if n == nil || n.Target() != target {
			t.Errorf("%s does not lead to %s", path, target)
		}
	}
	if n := root.Spec.Tree.Find("/nix/var/nix/gcroots/imprint"); n != nil {
		t.Error("what the profile keeps has another GC root, or an initrd of the host has one")
	}
}

// A disk with an MBR is what its layout says, its table can be read back, and partitions are named as Linux names them there.
func TestMBR(t *testing.T) {
	hosttest.Need(t, "grub-mkimage")
	w, system := imagetest.Boot(t)
	w.File("usr/lib/grub/i386-pc/x", "")
	hosttest.Run(t, "cp", "-r", "/usr/lib/grub/i386-pc", w.Dir+"/usr/lib/grub")
	p, err := w.Plan(imagetest.OnMBR(system, "grub"))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := imagetest.Build(t, p, write.Options{})
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, disk) {
		t.Fatalf("the layout differs from the disk at byte %d", imagetest.FirstDifference(whole, disk))
	}
	table, err := mbr.Read(bytes.NewReader(disk), l.Size, 512)
	if err != nil {
		t.Fatal(err)
	}
	if table.Signature != p.Signature || len(table.Partitions) != 3 || table.Partitions[0].Type != 0x0e || !table.Partitions[2].Active || table.Partitions[2].Type != 0x83 {
		t.Errorf("table %+v", table)
	}
	for i, part := range table.Partitions {
		if r := l.Regions[i]; part.Start*512 != r.Offset || part.Sectors*512 != r.Size {
			t.Errorf("partition %d: %+v", i+1, part)
		}
	}
	for _, text := range []string{fmt.Sprintf("root=PARTUUID=%08x-03 disk=%08x\n", p.Signature, p.Signature), "GRUB "} {
		if !bytes.Contains(disk, []byte(text)) {
			t.Errorf("the disk does not hold %q", text)
		}
	}
	if last := disk[len(disk)-512:]; len(bytes.Trim(last, "\x00")) > 0 && int64(len(disk)) != l.Regions[2].Offset+l.Regions[2].Size {
		t.Error("there is a table at the end of the disk too")
	}
	again, _, _ := imagetest.Build(t, p, write.Options{NoDigest: true})
	if !bytes.Equal(again, disk) {
		t.Error("a second build gave other bytes")
	}
}

// The host's syslinux fills its region of the disk: the rest is there before, and the same every time.
func TestSyslinuxRegion(t *testing.T) {
	hosttest.Need(t, "syslinux", "mtools", "fsck.fat", "dd")
	w, system := imagetest.Boot(t)
	w.File("usr/lib/SYSLINUX/mbr.bin", strings.Repeat("m", 440))
	w.File("usr/lib/syslinux/modules/bios/menu.c32", "menu")
	w.File("usr/lib/syslinux/modules/bios/libutil.c32", "library")
	p, err := w.Plan(imagetest.OnMBR(system, "syslinux"))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, result := imagetest.Build(t, p, write.Options{})
	again, _, other := imagetest.Build(t, p, write.Options{})
	if !bytes.Equal(disk, again) || result.Digests.Image != other.Digests.Image {
		t.Errorf("two builds differ first in byte %d", imagetest.FirstDifference(disk, again))
	}
	esp := l.Regions[0]
	if err := l.ReadAt(make([]byte, 512), esp.Offset); err == nil {
		t.Error("the layout claims to know what syslinux writes")
	}
	if string(disk[:440]) != strings.Repeat("m", 440) || disk[446] != 0x80 {
		t.Errorf("first sector % x", disk[:512])
	}
	w.File("volume", string(disk[esp.Offset:esp.Offset+esp.Size]))
	hosttest.Run(t, "fsck.fat", "-n", w.Dir+"/volume")
	listing := hosttest.Run(t, "mdir", "-b", "-a", "-/", "-i", w.Dir+"/volume", "::")
	for _, name := range []string{"::/ldlinux.sys", "::/ldlinux.c32", "::/syslinux/syslinux.cfg"} {
		if !strings.Contains(listing, name) {
			t.Errorf("no %s in\n%s", name, listing)
		}
	}
}

// Both engines take files out of an archive, and sparse files of the host.
func TestArchiveWithBothEngines(t *testing.T) {
	for _, engine := range []string{"native", "mke2fs"} {
		if engine == "mke2fs" {
			hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
		}
		w := imagetest.New(t)
		var archive bytes.Buffer
		tw := tar.NewWriter(&archive)
		if err := tw.WriteHeader(&tar.Header{Name: "etc/file", Mode: 0o640, Uid: 7, Size: 17}); err != nil {
			t.Fatal(err)
		}
		tw.Write([]byte("out of an archive"))
		tw.Close()
		w.File("tree.tar", archive.String())
		w.File("sparse", "begin")
		if err := os.Truncate(filepath.Join(w.Dir, "sparse"), 50<<20); err != nil {
			t.Fatal(err)
		}
		p, err := w.Plan(fmt.Sprintf("[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nengine = %q\n"+
			"[[partition.tree]]\nsource = \"tree.tar\"\n[[partition.file]]\npath = \"/sparse\"\nsource = \"sparse\"\n", engine))
		if err != nil {
			t.Fatal(err)
		}
		disk, _, _ := imagetest.Build(t, p, write.Options{})
		if !bytes.Contains(disk, []byte("out of an archive")) || !bytes.Contains(disk, []byte("begin")) {
			t.Errorf("%s: the contents are not on the disk", engine)
		}
		if engine == "native" && len(disk) > 20<<20 {
			t.Errorf("a disk of %d bytes for a file that is a hole", len(disk))
		}
		if label := p.Partitions[0].Spec.Label; label != "test-root" {
			t.Errorf("label %q", label)
		}
	}
}
