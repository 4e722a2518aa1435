package fat

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// A reader reads a volume by the specification, shares no code with the planner, and fails the test at anything unusual.
type reader struct {
	t                 testing.TB
	b                 []byte
	bits              int
	sector, cluster   int64 // bytes
	fat, root, data   int64 // offsets in bytes
	fatSize, clusters int64
	rootCluster       uint32
	owner             map[uint32]string
	got               map[string]found
	label             string
}

// found is a decoded directory entry.
type found struct {
	text  string
	alias string
	mtime time.Time
}

func read(t testing.TB, b []byte) *reader {
	t.Helper()
	le := binary.LittleEndian
	r := &reader{t: t, b: b, owner: map[uint32]string{}, got: map[string]found{}}
	r.sector = int64(le.Uint16(b[11:]))
	r.cluster = r.sector * int64(b[13])
	total := int64(le.Uint16(b[19:])) + int64(le.Uint32(b[32:]))
	r.fatSize = (int64(le.Uint16(b[22:]))) * r.sector
	if r.fatSize == 0 {
		r.fatSize = int64(le.Uint32(b[36:])) * r.sector
		r.rootCluster = le.Uint32(b[44:])
	}
	r.fat = int64(le.Uint16(b[14:])) * r.sector
	r.root = r.fat + int64(b[16])*r.fatSize
	r.data = r.root + int64(le.Uint16(b[17:]))*32
	r.clusters = (total*r.sector - r.data) / r.cluster
	switch {
	case r.clusters < 4085:
		r.bits = 12
	case r.clusters < 65525:
		r.bits = 16
	default:
		r.bits = 32
	}
	switch {
	case total*r.sector != int64(len(b)):
		t.Fatalf("boot sector counts %d bytes, the region has %d", total*r.sector, len(b))
	case r.data+r.clusters*r.cluster != int64(len(b)):
		t.Fatalf("clusters end at %d, the region at %d", r.data+r.clusters*r.cluster, len(b))
	case (r.rootCluster != 0) != (r.bits == 32):
		t.Fatalf("%d clusters mean FAT%d, the boot sector is of another type", r.clusters, r.bits)
	case r.fatSize*8 < (r.clusters+2)*int64(r.bits):
		t.Fatalf("FAT of %d bytes for %d clusters", r.fatSize, r.clusters)
	case string(b[r.fat:r.fat+r.fatSize]) != string(b[r.fat+r.fatSize:r.root]):
		t.Fatal("the FATs differ")
	case b[510] != 0x55 || b[511] != 0xaa || b[r.fat] != b[21]:
		t.Fatal("signature or media byte")
	}
	if r.bits == 32 {
		r.directory("/", r.chain("/", r.rootCluster), 0, 0)
	} else {
		r.directory("/", b[r.root:r.data], 0, 0)
	}
	r.unowned()
	return r
}

func (r *reader) entry(c uint32) uint32 {
	at := r.b[r.fat+int64(c)*int64(r.bits)/8:]
	switch {
	case r.bits == 32:
		return binary.LittleEndian.Uint32(at) & 0x0fffffff
	case r.bits == 16:
		return uint32(binary.LittleEndian.Uint16(at))
	case c%2 == 0:
		return uint32(binary.LittleEndian.Uint16(at)) & 0xfff
	}
	return uint32(binary.LittleEndian.Uint16(at)) >> 4
}

// chain returns the content of a chain of clusters.
func (r *reader) chain(path string, c uint32) []byte {
	var b []byte
	end := uint32(1)<<min(r.bits, 28) - 1
	for c != end {
		if c < 2 || int64(c) >= r.clusters+2 || r.owner[c] != "" {
			r.t.Fatalf("%s: cluster %d of %d, of %q", path, c, r.clusters, r.owner[c])
		}
		r.owner[c] = path
		at := r.data + int64(c-2)*r.cluster
		b = append(b, r.b[at:at+r.cluster]...)
		c = r.entry(c)
	}
	return b
}

// unowned checks that no other cluster is taken, and that FSInfo counts the free ones.
func (r *reader) unowned() {
	for c := uint32(2); int64(c) < r.fatSize*8/int64(r.bits); c++ {
		if r.owner[c] == "" && r.entry(c) != 0 {
			r.t.Fatalf("cluster %d is taken by nobody", c)
		}
	}
	if r.bits != 32 {
		return
	}
	info := r.b[r.sector:]
	free, last := binary.LittleEndian.Uint32(info[488:]), binary.LittleEndian.Uint32(info[492:])
	if int64(free) != r.clusters-int64(len(r.owner)) || r.owner[last] == "" || r.owner[last+1] != "" {
		r.t.Fatalf("FSInfo has %d free clusters and the hint %d; %d of %d are taken", free, last, len(r.owner), r.clusters)
	}
	if backup := r.b[6*r.sector:]; string(backup[:2*r.sector]) != string(r.b[:2*r.sector]) {
		r.t.Fatal("boot sector and FSInfo differ from their copies")
	}
}

// directory reads the entries of the directory at path, whose first cluster is self and its parent's up.
func (r *reader) directory(path string, b []byte, self, up uint32) {
	var long []uint16
	var sum byte
	seen := map[string]bool{}
	for i := 0; i < len(b) && b[i] != 0; i += 32 {
		e := b[i : i+32]
		if e[11] == 0x0f {
			if e[0]&0x40 != 0 {
				long = make([]uint16, int(e[0]&0x3f)*13)
			}
			at := int(e[0]&0x3f-1) * 13
			for j, off := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
				long[at+j] = binary.LittleEndian.Uint16(e[off:])
			}
			sum = e[13]
			continue
		}
		alias := dotted(e)
		if e[11] != 0x08 { // the label of the volume is no name of a file
			if seen[alias] {
				r.t.Fatalf("%s: two entries %q", path, alias)
			}
			seen[alias] = true
		}
		name := alias
		if long != nil {
			name = r.longName(long, e[:11], sum)
			long = nil
		}
		r.take(path, name, e, self, up)
	}
}

// take records an entry.
func (r *reader) take(path, name string, e []byte, self, up uint32) {
	first := uint32(binary.LittleEndian.Uint16(e[20:]))<<16 | uint32(binary.LittleEndian.Uint16(e[26:]))
	size := int64(binary.LittleEndian.Uint32(e[28:]))
	f := found{alias: dotted(e), mtime: stamp(e[22:])}
	switch {
	case e[11] == 0x08:
		r.label = string(e[:11])
		return
	case name == "." || name == "..":
		if want := map[string]uint32{".": self, "..": up}[name]; first != want {
			r.t.Fatalf("%s%s has cluster %d, not %d", path, name, first, want)
		}
		return
	case e[11] == 0x10:
		r.got[path+name+"/"] = f
		parent := self
		r.directory(path+name+"/", r.chain(path+name, first), first, parent)
		return
	case e[11] != 0x20:
		r.t.Fatalf("%s%s: attributes %#x", path, name, e[11])
	case size > 0:
		b := r.chain(path+name, first)
		if int64(len(b)) != (size+r.cluster-1)/r.cluster*r.cluster {
			r.t.Fatalf("%s%s: %d bytes in clusters of %d", path, name, size, len(b))
		}
		f.text = string(b[:size])
	case first != 0:
		r.t.Fatalf("%s%s: empty with cluster %d", path, name, first)
	}
	r.got[path+name] = f
}

func (r *reader) longName(text []uint16, alias []byte, sum byte) string {
	var want byte
	for _, c := range alias {
		want = want&1<<7 | want>>1
		want += c
	}
	if sum != want {
		r.t.Fatalf("long name of %q has the checksum %#x, not %#x", alias, sum, want)
	}
	for i, u := range text {
		if u == 0 {
			if tail := text[i+1:]; strings.Trim(fmt.Sprint(tail), "[]653 ") != "" {
				r.t.Fatalf("long name of %q ends with %v", alias, tail)
			}
			return string(utf16.Decode(text[:i]))
		}
	}
	return string(utf16.Decode(text))
}

func dotted(e []byte) string {
	base, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if ext != "" {
		return base + "." + ext
	}
	return base
}

func stamp(b []byte) time.Time {
	clock, date := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	return time.Date(1980+date>>9, time.Month(date>>5&15), date&31, clock>>11, clock>>5&63, clock&31*2, 0, time.UTC)
}

// files are the paths and contents that were read.
func (r *reader) files() files {
	f := files{}
	for path, e := range r.got {
		f[path] = e.text
	}
	return f
}
