package iso9660

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

// A vast image is zeros except for a few blocks, by their offsets.
type vast map[int64][]byte

func (v vast) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		b := v[(off+int64(i))/block]
		if at := (off + int64(i)) % block; int(at) < len(b) {
			p[i] = b[at]
		} else {
			p[i] = 0
		}
	}
	return len(p), nil
}

var _ io.ReaderAt = vast{}

// rawRecord is a directory record.
func rawRecord(start, size uint32, flags byte, id string, use string) []byte {
	head := recordHeader + len(id)
	head += head & 1
	p := make([]byte, head, head+len(use))
	p = append(p, use...)
	p[0] = byte(len(p))
	putBoth(p[2:], start)
	putBoth(p[10:], size)
	p[25], p[32] = flags, byte(len(id))
	copy(p[recordHeader:], id)
	return p
}

func suEntry(signature string, numbers ...uint32) string {
	p := make([]byte, 4+8*len(numbers))
	copy(p, signature)
	p[2], p[3] = byte(len(p)), 1
	for i, n := range numbers {
		putBoth(p[4+8*i:], n)
	}
	return string(p)
}

// hostileImage has a root of rootSize bytes with records in its first block.
func hostileImage(rootSize uint32, records ...[]byte) vast {
	pvd, end := make([]byte, block), make([]byte, block)
	copy(pvd, "\x01CD001\x01")
	copy(end, "\xffCD001\x01")
	putBoth(pvd[80:], 1<<22)
	pvd[129], pvd[130] = block>>8, block>>8
	copy(pvd[156:], rawRecord(18, rootSize, isDirectory, "\x00", ""))
	root := rawRecord(18, rootSize, isDirectory, "\x00", "SP\x07\x01\xbe\xef\x00"+suEntry("PX", 0o40755, 2, 0, 0))
	for _, r := range records {
		root = append(root, r...)
	}
	return vast{16: pvd, 17: end, 18: root}
}

// Whatever sizes and loops an image claims, reading it takes time and memory in proportion to it.
func TestHostileImages(t *testing.T) {
	dir := suEntry("PX", 0o40755, 2, 0, 0)
	name := func(s string) string { return "NM" + string(rune(5+len(s))) + "\x01\x00" + s }
	for what, image := range map[string]vast{
		"large root":        hostileImage(1 << 31),
		"larger than all":   hostileImage(1<<32 - 1),
		"loop":              hostileImage(block, rawRecord(18, block, isDirectory, "A", dir+name("a"))),
		"CE loop":           {},
		"relocated to it":   hostileImage(block, rawRecord(0, 0, 0, "A", suEntry("PX", 0o100644, 1, 0, 0)+name("a")+suEntry("CL", 18))),
		"huge continuation": hostileImage(block, rawRecord(30, 0, 0, "A", suEntry("CE", 30, 0, 1<<32-1))),
	} {
		if what == "CE loop" {
			image = hostileImage(block, rawRecord(30, 0, 0, "A", suEntry("CE", 30, 0, 28)))
			image[30] = []byte(suEntry("CE", 30, 0, 28))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := Read(image, 64<<20)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		if took, spent := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || spent > 16<<20 {
			t.Errorf("%s: %v and %d bytes: %v", what, took, spent, err)
		}
		t.Log(what, err)
	}
}

func px(mode, links, serial uint32) string { return suEntry("PX", mode, links, 0, 0, serial) }

func nm(name string) string { return "NM" + string(rune(5+len(name))) + "\x01\x00" + name }

// The forms of structures that other writers use.
func TestOtherForms(t *testing.T) {
	file := func(start, size uint32, use ...string) []byte {
		return rawRecord(start, size, 0, "F.;1", strings.Join(use, ""))
	}
	dated := file(30, 5, px(0o100644, 1, 0), nm("dated"))
	copy(dated[recordDate:], []byte{70, 1, 2, 0, 0, 0, 4})
	associated := file(30, 5, px(0o100644, 1, 0), nm("dated"))
	associated[recordFlags] = isAssociated
	image := hostileImage(block,
		dated, associated, file(0, 0, px(0o100644, 1, 0)),
		file(30, 5, px(0o100644, 2, 9), nm("one")), file(30, 5, px(0o100644, 2, 9), nm("two")),
		file(30, 4, px(0o100644, 2, 9), nm("other size")), file(30, 5, px(0o100644, 2, 0), nm("no serial")),
		file(0, 0, px(0o60660, 1, 0), nm("dev"), suEntry("PN", 259, 70_000)),
		file(0, 0, px(0o60660, 1, 0), nm("old dev"), suEntry("PN", 0, 0x12345678)),
	)
	image[30] = []byte("hello")
	v, err := ReadLinks(image, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for path, n := range v.Tree.Walk() {
		got[path] = fmt.Sprint(n.Kind(), " ", n.Size(), n.Device())
	}
	if diff := cmp.Diff(map[string]string{
		"/": "directory 0 {0 0}", "/dated": "file 5 {0 0}", "/F": "file 0 {0 0}", "/one": "file 5 {0 0}", "/two": "hard link 0 {0 0}",
		"/other size": "file 4 {0 0}", "/no serial": "file 5 {0 0}", "/dev": "block device 0 {259 70000}", "/old dev": "block device 0 {1110 74616}",
	}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if mtime := v.Tree.Find("/dated").Attr.Mtime.Sec; mtime != 86400-3600 {
		t.Errorf("time %d", mtime)
	}
	if n := v.Tree.Find("/one"); contentOf(t, n) != "hello" || v.Tree.Find("/two").Inode() != n {
		t.Errorf("%+v", n)
	}
	v, err = Read(image, 64<<20)
	if err != nil || v.Tree.Find("/two").Kind() != tree.File {
		t.Errorf("%v", err)
	}
}

// Errors name the directory and what is wrong in it.
func TestHostileErrors(t *testing.T) {
	interleaved := rawRecord(30, 5, 0, "F.;1", px(0o100644, 1, 0))
	interleaved[recordUnit] = 1
	for want, r := range map[string][]byte{
		`/: "F.;1" is interleaved`:                         interleaved,
		`/: "F.;1": no Rock Ridge attributes`:              rawRecord(30, 5, 0, "F.;1", nm("x")),
		`/: "x": link without a target`:                    rawRecord(30, 0, 0, "F.;1", px(0o120777, 1, 0)+nm("x")),
		`/: "x": mode 0 is of an unknown type`:             rawRecord(30, 0, 0, "F.;1", px(0, 1, 0)+nm("x")),
		`/: "x": 5 bytes at 134217728 of an image of 67`:   rawRecord(1<<16, 5, 0, "F.;1", px(0o100644, 1, 0)+nm("x")),
		`/: a file has no last section`:                    rawRecord(30, 2048, hasMore, "F.;1", px(0o100644, 1, 0)+nm("x")),
		`/: "F.;1": mode 100644, and flags 2`:              rawRecord(30, 5, isDirectory, "F.;1", px(0o100644, 1, 0)),
		`/sub/: 2048 bytes at 134217728 of an image of 67`: rawRecord(1<<16, 2048, isDirectory, "SUB", px(0o40755, 2, 0)+nm("sub")),
		`/: "F.;1": SL: entry is too short`:                rawRecord(30, 0, 0, "F.;1", px(0o120777, 1, 0)+"SL\x06\x01\x00\x00"),
		`/: "F.;1": NM: entry is too short`:                rawRecord(30, 0, 0, "F.;1", "NM\x04\x01"),
		`/: "F.;1": TF: entry is too short`:                rawRecord(30, 0, 0, "F.;1", "TF\x06\x01\x03\x00"),
	} {
		_, err := Read(hostileImage(block, r), 64<<20)
		if err == nil || !strings.Contains(err.Error(), `read ISO 9660 volume "": `+want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
