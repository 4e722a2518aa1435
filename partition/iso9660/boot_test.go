package iso9660

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
)

// bootTree returns a tree with a BIOS image whose size is not a multiple of four, and the image.
func bootTree(t testing.TB) (*tree.Tree, *tree.Node) {
	image := tree.NewFile("", plain, tree.Text(strings.Repeat("\x90\xff\x12", 33_335)))
	return build(t, map[string]*tree.Node{
		"/boot/eltorito.img": image, "/a": tree.NewFile("", plain, tree.Text("before")), "/z": tree.NewFile("", plain, tree.Text("after")),
		"/boot/again": tree.NewLink("", image),
	}), image
}

func bootOptions() Options {
	o := testOptions()
	o.BIOS = &BIOSImage{Path: "/boot/again", InfoTable: true, Pointers: []Pointer{{At: 2548, Plus: 5}}}
	o.ESP, o.Align = 3<<20, 1<<20
	return o
}

func TestBootCatalog(t *testing.T) {
	tr, image := bootTree(t)
	for what, c := range map[string]struct {
		bios bool
		esp  int64
		want func(p *Plan, bios int64) []BootImage
	}{
		"both": {true, 3 << 20, func(p *Plan, bios int64) []BootImage {
			return []BootImage{{BIOS, bios, 2048}, {UEFI, p.ESPOffset(), 3 << 20}}
		}},
		"BIOS":      {true, 0, func(_ *Plan, bios int64) []BootImage { return []BootImage{{BIOS, bios, 2048}} }},
		"UEFI":      {false, 3 << 20, func(p *Plan, _ int64) []BootImage { return []BootImage{{UEFI, p.ESPOffset(), 3 << 20}} }},
		"large ESP": {false, 32 << 20, func(p *Plan, _ int64) []BootImage { return []BootImage{{UEFI, p.ESPOffset(), 0}} }},
		"none":      {false, 0, func(*Plan, int64) []BootImage { return nil }},
	} {
		o := bootOptions()
		if o.ESP = c.esp; !c.bios {
			o.BIOS = nil
		}
		p := plan(t, tr, o)
		v, err := Read(partitiontest.Image(p), p.Size())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want(p, p.Place(nil, image)[0].Off), v.Boot); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
		end := p.Size()
		if c.esp > 0 {
			if off := p.ESPOffset(); off < end || off >= end+1<<20 || off%(1<<20) != 0 {
				t.Errorf("%s: the ESP lies at %d, the ISO ends at %d", what, off, end)
			}
			end = p.ESPOffset() + c.esp
		} else if p.ESPOffset() != 0 {
			t.Errorf("%s: there is an ESP at %d", what, p.ESPOffset())
		}
		if v.Blocks*block != end {
			t.Errorf("%s: the volume ends at %d, the last of it at %d", what, v.Blocks*block, end)
		}
		if inner, err := Read(io.NewSectionReader(partitiontest.Image(p), 16*block, p.Size()), p.Size()-16*block); err != nil || inner.Boot != nil || inner.Blocks*block != p.Size()-16*block {
			t.Errorf("%s: the partition has %+v, %v", what, inner, err)
		}
	}
}

// A BIOS image is patched as xorriso patches it, wherever a read begins.
func TestBIOSImage(t *testing.T) {
	tr, image := bootTree(t)
	p := plan(t, tr, bootOptions())
	placed := p.Place(nil, image)
	if len(placed) != 1 || placed[0].Len != image.Size() || placed[0].Blob == image.Blob() {
		t.Fatalf("placed %+v", placed)
	}
	got := make([]byte, image.Size())
	if err := extent.ReadAt(p, got, placed[0].Off); err != nil {
		t.Fatal(err)
	}
	le, start := binary.LittleEndian, placed[0].Off
	if le.Uint32(got[8:]) != 16 || int64(le.Uint32(got[12:])) != start/2048 || int64(le.Uint32(got[16:])) != image.Size() || int64(le.Uint64(got[2548:])) != start/512+5 {
		t.Errorf("at block %d: % x, % x", start/2048, got[8:24], got[2548:2556])
	}
	sum := uint32(0)
	for i, b := range got[64:] {
		sum += uint32(b) << (8 * (i % 4))
	}
	if le.Uint32(got[20:]) != sum {
		t.Errorf("sum %x, not %x", le.Uint32(got[20:]), sum)
	}
	want := contentUpTo(t, image, 1<<30)
	for _, r := range []tree.Range{{Off: 8, Len: 56}, {Off: 2548, Len: 8}} {
		copy(want[r.Off:r.Off+r.Len], got[r.Off:r.Off+r.Len])
	}
	if !cmp.Equal(got, want) {
		t.Error("other bytes are patched")
	}
	for off := int64(0); off < 70; off++ {
		for n := int64(0); n < 70; n++ {
			b := make([]byte, n)
			if err := extent.ReadAt(p, b, start+off); err != nil || string(b) != string(got[off:off+n]) {
				t.Fatalf("%d bytes at %d: % x, %v", n, off, b, err)
			}
		}
	}
}

// xorriso patches the same bytes into the same boot image.
func TestXorrisoAgreesOnBoot(t *testing.T) {
	hosttest.Need(t, "xorriso")
	tr, image := bootTree(t)
	p := plan(t, tr, bootOptions())
	path := write(t, p)
	if err := os.Truncate(path, p.ESPOffset()+3<<20); err != nil {
		t.Fatal(err)
	}
	out := hosttest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-indev", path, "-report_el_torito", "plain")
	for _, want := range []string{"BIOS  y   none  0x0000  0x00      4 ", "UEFI  y   none  0x0000  0x00   6144 ", "/boot/again", "boot-info-table grub2-boot-info"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "image"), contentUpTo(t, image, 1<<30), 0o644); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(dir, "iso")
	hosttest.Run(t, "xorriso", "-no_rc", "-report_about", "SORRY", "-outdev", "stdio:"+theirs, "-compliance", "no_emul_toc", "-map", dir+"/image", "/image",
		"-boot_image", "grub", "bin_path=/image", "-boot_image", "any", "boot_info_table=on", "-boot_image", "grub", "grub2_boot_info=on", "-commit", "-end")
	content, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	v := read(t, content)
	n := v.Tree.Find("/image")
	at := n.Blob().(*fileBlob).Parts()[0].Off
	ours := &biosImage{Blob: image.Blob(), BIOSImage: *bootOptions().BIOS, start: at / block}
	got, want := contentOf(t, tree.NewFile("", plain, ours)), contentOf(t, n)
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("byte %d is %x, xorriso has %x", i, got[i], want[i])
		}
	}
}

// A shrunk blob has become shorter since it was laid out.
type shrunk struct{ tree.Blob }

func (s shrunk) Size() int64 { return s.Blob.Size() + 10 }

func TestBIOSImageShrinks(t *testing.T) {
	b := &biosImage{Blob: shrunk{tree.Text(strings.Repeat("x", 100))}, BIOSImage: BIOSImage{InfoTable: true}}
	r, _ := b.Open()
	if _, err := r.ReadAt(make([]byte, 50), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

func TestBIOSImageRefused(t *testing.T) {
	tr, _ := bootTree(t)
	for want, b := range map[string]BIOSImage{
		"/boot/x is not in the tree": {Path: "/boot/x"}, "/boot is a directory": {Path: "/boot"}, "/a has 6 bytes, too few": {Path: "/a", InfoTable: true},
		"6 bytes and a pointer at byte 0": {Path: "/a", Pointers: []Pointer{{}}}, "100005 bytes and a pointer at byte 99998": {Path: "/boot/again", Pointers: []Pointer{{At: 99998}}},
	} {
		o := testOptions()
		o.BIOS = &b
		if _, err := New(tr, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", b, err, want)
		}
	}
}

// GRUB's own tools find the volume by its UUID.
func TestBlkid(t *testing.T) {
	blkid := hosttest.Find(t, "blkid")
	path := write(t, plan(t, judged(t), testOptions()))
	out, err := exec.Command(blkid, "-p", path).CombinedOutput()
	for _, want := range []string{`UUID="` + UUID(1_234_567_890) + `"`, `LABEL="TEST"`, `TYPE="iso9660"`} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("no %s in %s, %v", want, out, err)
		}
	}
}
