package bmap

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/pieces"
)

// image has a hole, data, and a last block that is not whole.
func image() []byte {
	p := make([]byte, 3*unit+block+700)
	copy(p[unit:], bytes.Repeat([]byte("data"), 5000))
	copy(p[3*unit+block:], "the end")
	return p
}

// mapOf returns the map of an image.
func mapOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := Create(&b, pieces.Disk{Size: int64(len(content)), Piece: 1 << 20})
	if err := w.Put(0, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compared returns the number of equal ranges and the offsets of others.
func compared(t *testing.T, m *Map, content []byte) (equal int, others []int64) {
	t.Helper()
	equal, err := m.Compare(bytes.NewReader(content), make([]byte, 5000), func() error { return nil }, func(off, _ int64) { others = append(others, off) })
	if err != nil {
		t.Fatal(err)
	}
	return equal, others
}

// What was written is equal, and no changed byte of a range is.
func TestCompare(t *testing.T) {
	content := image()
	m, err := Read(bytes.NewReader(mapOf(t, content)))
	if err != nil {
		t.Fatal(err)
	}
	if equal, others := compared(t, m, content); m.Size != int64(len(content)) || equal != 2 || others != nil {
		t.Errorf("%d bytes, %d ranges are equal, and those at %v are not", m.Size, equal, others)
	}
	for at, want := range map[int]string{0: "2 []", unit: "1 [65536]", len(content) - 1: "1 [196608]"} {
		changed := bytes.Clone(content)
		changed[at] ^= 1
		if equal, others := compared(t, m, changed); fmt.Sprint(equal, others) != want {
			t.Errorf("byte %d: %d ranges are equal, and those at %v are not; want %s", at, equal, others, want)
		}
	}
	stop := errors.New("stop")
	if _, err := m.Compare(bytes.NewReader(content), make([]byte, 5000), func() error { return stop }, nil); err != stop {
		t.Errorf("error %v", err)
	}
	if _, err := m.Compare(bytes.NewReader(content[:2*unit]), make([]byte, 5000), func() error { return nil }, func(int64, int64) {}); err == nil {
		t.Error("an image that is cut short has no error")
	}
}

// Maps of bmaptool are read.
func TestOther(t *testing.T) {
	hosttest.Need(t, "bmaptool")
	content := image()
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "bmaptool", "create", "-o", file+".bmap", file)
	text, err := os.ReadFile(file + ".bmap")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if equal, others := compared(t, m, content); equal == 0 || others != nil {
		t.Errorf("%d ranges are equal, and those at %v are not", equal, others)
	}
}

// old is a map of version 1.3, which has SHA-1 in other places.
func old() string {
	text := fmt.Sprintf(`<bmap version="1.3"><ImageSize> 4 </ImageSize><BlockSize> 4096 </BlockSize><BlocksCount> 1 </BlocksCount>
<MappedBlocksCount> 1 </MappedBlocksCount><BmapFileSHA1> %040d </BmapFileSHA1><BlockMap><Range sha1="%x"> 0 </Range></BlockMap></bmap>`, 0, sha1.Sum([]byte("data")))
	return strings.Replace(text, strings.Repeat("0", 40), fmt.Sprintf("%x", sha1.Sum([]byte(text))), 1)
}

func TestOld(t *testing.T) {
	m, err := Read(strings.NewReader(old()))
	if err != nil {
		t.Fatal(err)
	}
	if equal, others := compared(t, m, []byte("data")); equal != 1 || others != nil {
		t.Errorf("%d, %v", equal, others)
	}
	bare := `<bmap version="1.2"><ImageSize>4</ImageSize><BlockSize>4096</BlockSize><BlocksCount>1</BlocksCount><MappedBlocksCount>0</MappedBlocksCount></bmap>`
	if m, err = Read(strings.NewReader(bare)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Compare(nil, nil, nil, nil); err != ErrNoSums {
		t.Errorf("error %v", err)
	}
}

// A changed map is an error of its checksum, and a wrong one with a right checksum is one, too.
func TestReadReports(t *testing.T) {
	good := string(mapOf(t, image()))
	if _, err := Read(strings.NewReader(strings.Replace(good, " 16-", " 17-", 1))); err == nil || !strings.HasPrefix(err.Error(), "the checksum of the block map is ") {
		t.Errorf("error %v", err)
	}
	for _, c := range []struct{ old, new, problem string }{
		{`version="2.0"`, `version="3.0"`, `block maps of version "3.0" are not supported`},
		{" sha256 ", " md5 ", `checksums of the kind "md5" are not supported`},
		{"<BlockSize> 4096", "<BlockSize> 0", "an image of 201404 bytes in blocks of 0 bytes"},
		{"<BlocksCount> 50", "<BlocksCount> 51", "the image has 50 blocks, and the block map says 51"},
		{"<MappedBlocksCount> 18", "<MappedBlocksCount> 1", "the ranges have 18 blocks, and the block map says 1"},
		{" 16-31 ", " 31-16 ", "the blocks 31 to 16 follow block -1 of 50"},
		{" 16-31 ", " 16 to 31 ", `a range of blocks is "16 to 31"`},
		{" 48-49 ", " 31-49 ", "the blocks 31 to 49 follow block 31 of 50"},
		{" 48-49 ", " 48-50 ", "the blocks 48 to 50 follow block 31 of 50"},
		{`chksum="`, `chksum="00`, "the checksum of the blocks 16 to 31 is "},
		{"</bmap>", "", "not a block map: XML syntax error"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("no %q in %s", c.old, good)
		}
		if _, err := Read(strings.NewReader(signed(text))); err == nil || !strings.HasPrefix(err.Error(), c.problem) {
			t.Errorf("%q: error %v, want %s", c.new, err, c.problem)
		}
	}
}

// signed puts the right checksum into a map.
func signed(text string) string {
	const open = "<BmapFileChecksum> "
	at := strings.Index(text, open) + len(open)
	zeros := text[:at] + strings.Repeat("0", 64) + text[at+64:]
	return text[:at] + fmt.Sprintf("%x", sha256.Sum256([]byte(zeros))) + text[at+64:]
}

// Whatever a map says, its ranges lie in the image, in order.
func FuzzRead(f *testing.F) {
	f.Add(mapOf(f, image()))
	f.Add([]byte(old()))
	f.Add([]byte(`<bmap version="2.0"><ChecksumType>sha256</ChecksumType><ImageSize>9000</ImageSize><BlockSize>512</BlockSize></bmap>`))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		m, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		next := int64(0)
		for _, r := range m.Ranges {
			if r.First < next || r.Last < r.First || r.First*m.Block >= m.Size {
				t.Fatalf("%+v after block %d of %d bytes", r, next, m.Size)
			}
			next = r.Last + 1
		}
	})
}
