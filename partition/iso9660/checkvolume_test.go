package iso9660

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

var inspector = partitiontest.Inspector[*Volume](Inspect)

// planned returns the bytes of a plan, with zeros up to the end of its ESP.
func planned(t testing.TB, p *Plan) []byte {
	t.Helper()
	b := make([]byte, max(p.Size(), p.end*block))
	copy(b, partitiontest.Bytes(t, p))
	return b
}

// Images of this package have no faults, with and without a boot catalog and a tree for a partition.
func TestCheckOwn(t *testing.T) {
	tr, _ := bootTree(t)
	for _, o := range []Options{{VolumeID: "PLAIN"}, bootOptions(), testOptions()} {
		if o.BIOS == nil {
			inspector.Sound(t, planned(t, plan(t, judged(t), o)))
		}
		if o.BIOS != nil || o.ESP == 0 {
			inspector.Sound(t, planned(t, plan(t, tr, o)))
		}
	}
}

func TestFieldTables(t *testing.T) {
	for name, m := range map[string]int64{
		"descriptor": descriptorFields[len(descriptorFields)-1].End(), "boot record": bootRecordFields[len(bootRecordFields)-1].End(),
		"entries": 2016 + bootFields[len(bootFields)-1].End(),
	} {
		if m != block {
			t.Errorf("%s: fields of %d bytes", name, m)
		}
	}
	if n := recordFields[len(recordFields)-1].End(); n != recordHeader {
		t.Errorf("record: fields of %d bytes", n)
	}
}

// Images of other programs have no faults: with Joliet, directories that were moved since they lie too deep, hard links, boot images, and a
// partition that can be mounted.
func TestCheckOthers(t *testing.T) {
	hosttest.Need(t, "xorriso", "genisoimage")
	dir := t.TempDir()
	deep := filepath.Join(dir, "1/2/3/4/5/6/7/8/9/10/11")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	boot := bytes.Repeat([]byte("boot code"), 1000)
	for name, content := range map[string][]byte{"boot.img": boot, "efi.img": make([]byte, 40_000), "Long name with spaces.txt": []byte("long"), "empty": nil,
		"1/2/3/4/5/6/7/8/9/10/11/deep": []byte("deep"), "same": boot, strings.Repeat("n", 200): []byte("n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(dir, "1", fmt.Sprintf("file number %d", i)), bytes.Repeat([]byte{1}, i*100), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Link(filepath.Join(dir, "same"), filepath.Join(dir, "1/2/linked"))
	_ = os.Symlink(strings.Repeat("../target/", 20)+"x", filepath.Join(dir, "symlink"))
	bios := []string{"-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-c", "boot.cat"}
	efi := []string{"-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot"}
	for _, c := range [][]string{
		{"genisoimage", "-quiet", "-R"}, {"genisoimage", "-quiet", "-R", "-J", "-joliet-long"}, {"genisoimage", "-quiet", "-r", "-D", "-allow-lowercase"},
		append([]string{"genisoimage", "-quiet", "-R", "-J", "-joliet-long", "-cache-inodes"}, append(bios, efi...)...),
		{"genisoimage", "-quiet", "-R", "-iso-level", "4"}, {"genisoimage", "-quiet", "-R", "-hide-rr-moved"},
		{"xorriso", "-as", "mkisofs", "-quiet", "-R"}, {"xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-joliet-long"},
		append([]string{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-partition_offset", "16"}, append(bios, efi...)...),
		append([]string{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-J"}, append(bios, append(efi, "-append_partition", "2", "0xef", filepath.Join(dir, "efi.img"))...)...),
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-iso-level", "3", "-omit-version-number", "-disable-deep-relocation"},
	} {
		t.Run(strings.ReplaceAll(strings.Join(c, " "), dir, ""), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "iso")
			src := filepath.Join(t.TempDir(), "src")
			hosttest.Run(t, "cp", "-a", dir, src)
			hosttest.Run(t, c[0], append(c[1:], "-o", out, src)...)
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			inspector.Sound(t, b)
			v := read(t, b)
			if n := v.Tree.Find("/1/2/3/4/5/6/7/8/9/10/11/deep"); n == nil || contentOf(t, n) != "deep" {
				t.Error("the deep directory was not read")
			}
		})
	}
}

// unchecked matches what Explain says about bytes whose value follows from nothing else.
var unchecked = regexp.MustCompile(`^(unused|system area|file .*|boot image .*|.*volume descriptor, (system|volume|volume set|publisher|data preparer|` +
	`application|copyright file|abstract file|bibliographic file) identifier|.*volume descriptor, (.* date|application use)|.*, padding|.*, date|` +
	`directory .*, record of .*, (identifier|flags|(PX|NM|TF|SL|PN|RR|ER), .*)|continuation area .*, (NM|SL|TF|PX|PN|ER), .*|` +
	`boot catalog, .*, (platform|manufacturer|identifier|media type|load segment|system type|sector count|location|boot indicator))$`)

// flips flips n bits of structure.
func flips(t *testing.T, b []byte, n int) {
	var structure []int64
	for _, s := range read(t, b).all().spans {
		for off := s.Off; off < s.End() && s.What.use != fileUse; off++ {
			structure = append(structure, off)
		}
	}
	inspector.Flips(t, b, n, func(rnd *rand.Rand) int64 { return structure[rnd.IntN(len(structure))] }, unchecked)
}

func TestFlips(t *testing.T) {
	tr, _ := bootTree(t)
	flips(t, planned(t, plan(t, tr, bootOptions())), 600)
	o := testOptions()
	o.PartitionOffset = 0
	flips(t, planned(t, plan(t, judged(t), o)), 400)
	flips(t, sample(t, 20, "-J"), 400)
}

// In a second tree, each flip in a record is found.
func TestTwoTrees(t *testing.T) {
	o := Options{VolumeID: "TWO", PartitionOffset: 16}
	b := planned(t, plan(t, judged(t), o))
	dirs := read(t, b).all().dirs
	inspector.Flips(t, b, 500, func(rnd *rand.Rand) int64 {
		d := dirs[rnd.IntN(len(dirs))]
		return d.start*block + rnd.Int64N(d.size)
	}, regexp.MustCompile("^$"))
}

func TestCheckFinds(t *testing.T) {
	tr, _ := bootTree(t)
	o := bootOptions()
	o.PartitionOffset = 16
	whole := planned(t, plan(t, tr, o))
	v := read(t, whole)
	a := v.all()
	first := a.trees[0]
	at := func(name string) int64 { return first.at + pvdAt(name) }
	root := a.dirs[0].start * block
	bios := int64(0)
	for _, image := range v.Boot {
		if image.Platform == BIOS {
			bios = image.Offset
		}
	}
	table := first.number("location of path table L") * block
	for want, damage := range map[string]func(b []byte){
		"volume space size is 9999999":         func(b []byte) { putBoth(b[at("volume space size"):], 9999999) },
		"in one byte order and":                func(b []byte) { b[at("path table size")]++ },
		"volume sequence number is 2":          func(b []byte) { putBoth16(b[at("volume sequence number"):], 2) },
		"reserved byte is 0x01":                func(b []byte) { b[at("reserved")+9] = 1 },
		"path table L: record 1: no directory": func(b []byte) { b[table+2]++ },
		"in table L":                           func(b []byte) { b[table+2]++ },
		"the directory's own record leads to":  func(b []byte) { putBoth(b[root+recordStart:], 99) },
		"flags 0x62":                           func(b []byte) { b[root+recordFlags] |= 0x60 },
		"no Rock Ridge":                        func(b []byte) { b[root+34+4] = 0 },
		"the first descriptor has":             func(b []byte) { b[at("volume identifier")] = 'Z' },
		"differs from the record in the tree":  func(b []byte) { b[root+recordDate]++ },
		"the words of the validation entry":    func(b []byte) { b[a.catalog+5]++ },
		"a boot image lies at byte":            func(b []byte) { b[a.catalog+32+11] = 0x7f },
		"boot info table: checksum is":         func(b []byte) { b[bios+100]++ },
		"boot info table: length of the boot":  func(b []byte) { b[bios+16]++ },
		"location of the boot catalog":         func(b []byte) { b[17*block+recordCatalog+3] = 0x7f },
		"boot system identifier is":            func(b []byte) { b[17*block+recordSystemID] = 'X' },
		"they end without a terminator":        func(b []byte) { b[18*block+1] = 'X' },
		"bytes after the last record of a":     func(b []byte) { b[root+block-1] = 1 },
		"are those of file":                    func(b []byte) { moveFile(b, root) },
	} {
		inspector.Finds(t, whole, want, damage)
	}
	list, _ := inspector.Faults(whole[:len(whole)-10*block])
	if all := strings.Join(list, "\n"); !strings.Contains(all, "the image has") {
		t.Errorf("an image that was cut off:\n%s", all)
	}
}

// moveFile makes the first file of the root directory lie in the middle of another.
func moveFile(b []byte, root int64) {
	for at := root; b[at] != 0; at += int64(b[at]) {
		start, _ := both(b[at+recordStart:])
		if b[at+recordFlags]&isDirectory == 0 {
			putBoth(b[at+recordStart:], uint32(start+2))
			putBoth(b[at+recordSize:], 3*block)
			return
		}
	}
}

// pvdAt returns the offset of a field of a volume descriptor.
func pvdAt(name string) int64 {
	for _, f := range descriptorFields {
		if f.What == name {
			return f.Off
		}
	}
	return 0
}

func TestExplain(t *testing.T) {
	tr, _ := bootTree(t)
	v := read(t, planned(t, plan(t, tr, bootOptions())))
	a := v.all()
	root := a.dirs[0].start * block
	for off, want := range map[int64]string{
		-1: "after the image", 5: "system area", 16*block + pvdSpaceSize: "primary volume descriptor, volume space size",
		16*block + pvdRoot + recordDate: "primary volume descriptor, directory record of the root, date",
		17*block + recordCatalog:        "boot record, location of the boot catalog",
		a.catalog + 28:                  "boot catalog, validation entry, checksum",
		a.catalog + 32 + 8:              "boot catalog, entry 1, location",
		a.catalog + 64 + 1:              "boot catalog, section header 2, platform",
		a.catalog + 2000:                "boot catalog, unused",
		root + recordSize:               "directory /, record of ., data length",
		root + 34 + 5:                   "directory /, record of ., SP, byte 5",
		root + block - 1:                "directory /, unused after the last record of a block",
		v.Boot[0].Offset + 9:            "file /boot/again, byte 9",
	} {
		if got := v.Explain(off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
}

// FuzzInspect changes bytes of an image. What Read refuses has a fault, and every byte is explained.
func FuzzInspect(f *testing.F) {
	tr := build(f, map[string]*tree.Node{"/boot": tree.NewFile("", plain, tree.Text(strings.Repeat("b", 300))), "/d/link": tree.NewSymlink("", plain, "target")})
	image := planned(f, plan(f, tr, Options{VolumeID: "FUZZ", PartitionOffset: 16, BIOS: &BIOSImage{Path: "/boot", InfoTable: true}}))
	f.Add(uint32(16*block+158), []byte{1, 2, 3, 4})
	for off := uint32(16 * block); off < uint32(min(len(image), 60*block)); off += 517 {
		f.Add(off, []byte{0xff})
	}
	f.Fuzz(func(t *testing.T, off uint32, change []byte) {
		bad := bytes.Clone(image)
		for i := range change {
			bad[(int(off)+i*i)%len(bad)] ^= change[i]
		}
		v, err := Read(bytes.NewReader(bad), int64(len(bad)))
		list, _ := inspector.Faults(bad)
		if err != nil && len(list) == 0 {
			t.Fatalf("%v, and no fault", err)
		}
		for off := 0; v != nil && off < len(bad); off += 1001 {
			if v.Explain(int64(off)) == "" {
				t.Fatalf("byte %d is not explained", off)
			}
		}
	})
}
