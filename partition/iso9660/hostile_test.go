package iso9660

import (
	"io"
	"runtime"
	"testing"
	"time"
)

// A vast image is zeros but for some blocks.
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

// hostileImage has a root of so many bytes with records in its first block.
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
