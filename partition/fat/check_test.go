package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
)

// A patient is an image to damage, with the offsets of its parts.
type patient struct {
	*reader
	b []byte
}

var patientFiles = files{"/LONE.TXT": "alone", "/chain.bin": strings.Repeat("c", 9000), "/dir/Long name": strings.Repeat("d", 3000), "/other": strings.Repeat("o", 5000)}

func newPatient(t testing.TB, bits int) patient {
	_, b := image(t, plan(t, patientFiles.tree(t), Options{Bits: bits, Label: "PATIENT", Serial: 5, Free: 400 << 10}))
	return patient{read(t, b), b}
}

// set sets entry c of FAT n, or of both if n is -1.
func (p patient) set(n int, c, to uint32) {
	for i := range 2 {
		if n >= 0 && n != i {
			continue
		}
		at := p.b[p.fat+int64(i)*p.fatSize+int64(c)*int64(p.bits)/8:]
		switch p.bits {
		case 32:
			binary.LittleEndian.PutUint32(at, to)
		case 16:
			binary.LittleEndian.PutUint16(at, uint16(to))
		default:
			old := binary.LittleEndian.Uint16(at)
			if c%2 == 0 {
				binary.LittleEndian.PutUint16(at, old&0xf000|uint16(to)&0xfff)
			} else {
				binary.LittleEndian.PutUint16(at, old&0xf|uint16(to)<<4)
			}
		}
	}
}

// entryOf returns the image from the directory entry with a short name on.
func (p patient) entryOf(name string) []byte {
	return p.b[p.root+int64(bytes.Index(p.b[p.root:], []byte(name))):]
}

// clusterOf returns the first cluster of that entry.
func (p patient) clusterOf(name string) uint32 {
	e := p.entryOf(name)
	return uint32(binary.LittleEndian.Uint16(e[20:]))<<16 | uint32(binary.LittleEndian.Uint16(e[26:]))
}

// TestCheckAgreesWithFsck damages a volume in one place at a time. Check finds each fault, as fsck.fat does except where alone is set.
func TestCheckAgreesWithFsck(t *testing.T) {
	hosttest.Need(t, "fsck.fat")
	const chain, lone, dir, other = "CHAIN   BIN", "LONE    TXT", "DIR        ", "OTHER      "
	for _, c := range []struct {
		name   string
		want   string
		only32 bool
		alone  bool
		damage func(p patient)
	}{
		{"FATs differ", "FAT 2 differs from FAT 1", false, false, func(p patient) { p.set(1, 100, 7) }},
		{"lost clusters", "FAT entries 100 to 102: 3 clusters are in use and belong to no file", false, false, func(p patient) {
			p.set(-1, 100, 101)
			p.set(-1, 101, 102)
			p.set(-1, 102, p.end())
		}},
		{"media", "FAT entry 0", false, true, func(p patient) { p.set(-1, 0, p.end()&^0xff|0xf0) }},
		{"circle", "is one of \"/chain.bin\" already", false, false, func(p patient) { c := p.clusterOf(chain); p.set(-1, c+1, c) }},
		{"crossing", "is one of \"/", false, false, func(p patient) { p.set(-1, p.clusterOf(other), p.clusterOf(chain)+1) }},
		{"free in the middle", "leads to no cluster: it is 0", false, false, func(p patient) { p.set(-1, p.clusterOf(chain)+1, 0) }},
		{"out of range", "clusters are 2 to", false, false, func(p patient) { p.set(-1, p.clusterOf(chain), uint32(p.clusters)+2) }},
		{"bad cluster", "it marks a bad one", false, false, func(p patient) { p.set(-1, p.clusterOf(chain), badCluster(p.bits)) }},
		{"too short", "bytes need", false, false, func(p patient) { p.set(-1, p.clusterOf(chain), p.end()) }},
		{"too long", "its 1 bytes need 1", false, false, func(p patient) { binary.LittleEndian.PutUint32(p.entryOf(chain)[28:], 1) }},
		{"start out of range", "clusters are 2 to", false, false, func(p patient) { binary.LittleEndian.PutUint16(p.entryOf(lone)[26:], 1) }},
		{"start 0", "it is 0", false, false, func(p patient) { clear(p.entryOf(lone)[20:22]); clear(p.entryOf(lone)[26:28]) }},
		{"directory with a size", "FileSize is 7, 0 is expected", false, false, func(p patient) { p.entryOf(dir)[28] = 7 }},
		{"bad dot", `"." leads to cluster`, false, false, func(p patient) { p.entryOf(".          ")[26]++ }},
		{"bad dot dot", `".." leads to cluster`, false, true, func(p patient) { p.entryOf("..         ")[26]++ }},
		{"no dot", `"." and ".." are not the first`, false, false, func(p patient) { p.entryOf(".          ")[0] = 'X' }},
		{"bad name", `holds '*'`, false, false, func(p patient) { p.entryOf(lone)[3] = '*' }},
		{"lower case", `holds 'o'`, false, true, func(p patient) { p.entryOf(lone)[1] = 'o' }},
		{"checksum of a long name", "Chksum of a long name", false, false, func(p patient) { p.entryOf(chain)[0] = 'K' }},
		{"second label", "a second volume label", false, true, func(p patient) { p.entryOf(lone)[11] = attrVolume }},
		{"label", "the label in the root directory", false, false, func(p patient) { p.b[p.labelAt()] = 'Q' }},
		{"boot signature", "signature is", false, true, func(p patient) { p.b[510] = 0 }},
		{"not unmounted", "not unmounted", false, false, func(p patient) { p.b[p.labelAt()-6] |= dirtyBoot }},
		{"time", "are not a time", false, true, func(p patient) { binary.LittleEndian.PutUint16(p.entryOf(lone)[24:], 0x01ff) }},
		{"attributes", "Attr is 0xa0", false, true, func(p patient) { p.entryOf(lone)[11] |= 0x80 }},
		{"FSInfo count", "FreeCount is", true, false, func(p patient) { p.b[p.sector+488]++ }},
		{"FSInfo signature", "LeadSig is", true, false, func(p patient) { p.b[p.sector]++ }},
		{"FSInfo hint", "NxtFree is", true, true, func(p patient) { p.b[p.sector+495] = 0x70 }},
		{"backup differs", "backup boot sector: VolID is", true, false, func(p patient) { p.b[6*p.sector+67]++ }},
		{"reserved bits", "the 4 reserved bits are not 0", true, true, func(p patient) { c := p.clusterOf(lone); p.set(-1, c, 0x1fffffff) }},
	} {
		for _, bits := range []int{12, 16, 32} {
			if c.only32 && bits != 32 {
				continue
			}
			t.Run(fmt.Sprintf("%s/FAT%d", c.name, bits), func(t *testing.T) {
				p := newPatient(t, bits)
				c.damage(p)
				_, list := inspect(t, p.b)
				if all := strings.Join(list, "\n"); !strings.Contains(all, c.want) {
					t.Errorf("Check does not say %q:\n%s", c.want, all)
				}
				if said, found := fsckFinds(t, p.b); !found && !c.alone {
					t.Errorf("fsck.fat finds nothing:\n%s", said)
				}
			})
		}
	}
}

func (p patient) end() uint32 { return endOfChain(p.bits) }

// labelAt returns the offset of the label in the boot sector.
func (p patient) labelAt() int64 {
	if p.bits == 32 {
		return 71
	}
	return 43
}

// inspect returns the volume and the faults of an image that may be too damaged for Read.
func inspect(t testing.TB, b []byte) (*Volume, []string) {
	t.Helper()
	var list []string
	v, err := Inspect(bytes.NewReader(b), int64(len(b)), func(f fault.Fault) { list = append(list, f.String()) })
	if err != nil {
		t.Fatalf("%v\n%q", err, list)
	}
	return v, list
}

var fsckQuiet = regexp.MustCompile(`^(fsck\.fat [0-9].*|.*: \d+ files, \d+/\d+ clusters|)$`)

// fsckFinds reports whether fsck.fat prints more than its version and the totals.
func fsckFinds(t testing.TB, b []byte) (said string, found bool) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fat.img")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("fsck.fat", "-n", name).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		found = found || !fsckQuiet.MatchString(strings.TrimSpace(line))
	}
	return string(out), found || err != nil
}

// unchecked matches what Explain says of bytes whose value follows from nothing else.
var unchecked = regexp.MustCompile(`^(file .*|free.*|reserved.*|.*unused.*|.*deleted.*|` +
	`boot sector, (JmpBoot|OEMName|SecPerTrk|NumHeads|HiddSec|DrvNum|VolID|VolLab|boot code|Media|BootSig|RootEntCnt|Reserved1|TotSec16|TotSec32)|` +
	`(backup )?FSInfo sector, (NxtFree|FreeCount)|FAT \d, entry 1|` +
	`directory entry of .*, (Name|Attr|NTRes|CrtTimeTenth|CrtTime|CrtDate|LstAccDate|WrtTime|WrtDate|FileSize|Ord|Name1|Name2|Name3))$`)

const flips = 300

// Every flip of a byte is found, or Explain says that it is content, unused, or a value of its own.
func TestFlips(t *testing.T) {
	for _, bits := range []int{12, 16, 32} {
		p := newPatient(t, bits)
		rnd := rand.New(rand.NewPCG(3, uint64(bits)))
		found := 0
		for range flips {
			off := rnd.Int64N(int64(len(p.b)))
			if rnd.IntN(4) > 0 {
				off = rnd.Int64N(p.data + 20*p.cluster)
			}
			bit := byte(1) << rnd.IntN(8)
			v, _ := Read(bytes.NewReader(p.b), int64(len(p.b)))
			what := v.Explain(off)
			p.b[off] ^= bit
			if _, list := faults(t, p.b); len(list) > 0 {
				found++
			} else if !unchecked.MatchString(what) {
				t.Errorf("FAT%d: byte %d, %s: bit 0x%02x is another and nothing is found", bits, off, what, bit)
			}
			p.b[off] ^= bit
		}
		t.Logf("FAT%d: %d of %d flips found", bits, found, flips)
	}
}

// In FAT32, whose boot sector has a copy, each flip in it is found, and in every type each flip in a FAT is.
func TestFlipsOfCopies(t *testing.T) {
	for _, bits := range []int{12, 16, 32} {
		p := newPatient(t, bits)
		ranges := [][2]int64{{p.fat, p.fat + (p.clusters+2)*int64(p.bits)/8}, {p.fat + p.fatSize, p.fat + p.fatSize + (p.clusters+2)*int64(p.bits)/8}}
		if bits == 32 {
			ranges = append(ranges, [2]int64{0, 512}, [2]int64{6 * p.sector, 6*p.sector + 512})
		}
		rnd := rand.New(rand.NewPCG(4, uint64(bits)))
		for _, r := range ranges {
			for range 100 {
				off, bit := r[0]+rnd.Int64N(r[1]-r[0]), byte(1)<<rnd.IntN(8)
				p.b[off] ^= bit
				_, list := faults(t, p.b)
				p.b[off] ^= bit
				if len(list) == 0 && !(off == 65 && bit == errorBoot) { // a mark of the first boot sector alone
					t.Errorf("FAT%d: bit 0x%02x of byte %d is another and nothing is found", bits, bit, off)
				}
			}
		}
	}
}

func TestExplain(t *testing.T) {
	p := newPatient(t, 32)
	v := sound(t, p.b)
	lone, chain := int64(p.clusterOf("LONE    TXT")), int64(p.clusterOf("CHAIN   BIN"))
	at := func(c int64) int64 { return p.data + (c-2)*p.cluster }
	slot := func(name string) int64 { return int64(len(p.b) - len(p.entryOf(name))) }
	for off, want := range map[int64]string{
		-1: "after the volume", int64(len(p.b)): "after the volume",
		0: "boot sector, JmpBoot", 13: "boot sector, SecPerClus", 44: "boot sector, RootClus", 100: "boot sector, boot code", 511: "boot sector, signature",
		p.sector + 488: "FSInfo sector, FreeCount", 6*p.sector + 11: "backup boot sector, BytsPerSec", 7 * p.sector: "backup FSInfo sector, LeadSig",
		20 * p.sector: "reserved, sector 20", p.fat + 4*9 + 3: "FAT 1, entry 9", p.fat + p.fatSize: "FAT 2, entry 0",
		slot("LONE    TXT") + 28: "directory entry of /LONE.TXT, FileSize",
		slot("CHAIN   BIN") - 32: "directory entry of /chain.bin, Ord",
		slot("PATIENT    ") + 3:  "directory entry of the volume label, Name",
		at(2) + p.cluster - 1:    "directory /, unused after the last entry",
		at(lone) + 4:             "file /LONE.TXT, byte 4",
		at(lone) + 5:             "file tail after /LONE.TXT",
		at(chain) + 8999:         "file /chain.bin, byte 8999",
		at(p.clusters) + 1:       fmt.Sprintf("free, cluster %d", p.clusters),
		slot("..         ") + 26: "directory entry of /dir/.., FstClusLO",
	} {
		if got := v.Explain(off); got != want {
			t.Errorf("byte %d is %q, not %q", off, got, want)
		}
	}
}

// FuzzInspect changes some bytes of small volumes. Reading and checking must end, and contents are read or refused.
func FuzzInspect(f *testing.F) {
	var whole [][]byte
	for _, bits := range []int{12, 16} {
		p := newPatient(f, bits)
		if bits == 12 {
			p.b = p.b[:p.data+30*p.cluster]
		}
		whole = append(whole, p.b[:p.data+30*p.cluster])
		f.Add(byte(bits/16), []byte{byte(p.root), byte(p.root >> 8), byte(p.root >> 16), 1, 2, 3})
		f.Add(byte(bits/16), []byte{byte(p.fat + 4), byte(p.fat >> 8), 0, 1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, which byte, patches []byte) {
		b := bytes.Clone(whole[int(which)%len(whole)])
		for ; len(patches) >= 6; patches = patches[6:] { // three bytes of offset, three of content
			at := int(patches[0]) | int(patches[1])<<8 | int(patches[2])<<16
			copy(b[at%len(b):], patches[3:6])
		}
		size := int64(1 << 22)
		v, err := Inspect(fuzzImage(b), size, func(fault.Fault) {})
		if err != nil {
			return
		}
		if strict, err := Read(fuzzImage(b), size); err == nil && strict.Tree.Len() != v.Tree.Len() {
			t.Fatalf("Read finds %d nodes, Inspect %d", strict.Tree.Len(), v.Tree.Len())
		}
		for off := int64(0); off < int64(len(b)); off += int64(len(b))/20 + 1 {
			if v.Explain(off) == "" {
				t.Fatalf("byte %d is not explained", off)
			}
		}
		for n := range v.Tree.Nodes() {
			if n.Blob() != nil {
				if r, err := n.Blob().Open(); err == nil {
					_, _ = r.ReadAt(make([]byte, 100), n.Size()/2)
				}
			}
		}
	})
}

// A fuzzImage is zeros after its bytes.
type fuzzImage []byte

func (p fuzzImage) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(p)) {
		copy(b, p[off:])
	}
	return len(b), nil
}
