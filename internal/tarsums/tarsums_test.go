package tarsums

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

var _ hash.Hash = (*Hash)(nil)

// noise returns bytes without zeros at their beginning, and zeros in [from, to) of them.
func noise(size, from, to int) []byte {
	p := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(p)
	clear(p[min(from, size):min(to, size)])
	return p
}

// archive returns an archive of files in a format.
func archive(t testing.TB, format tar.Format, files ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	headers := []*tar.Header{{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeSymlink, Name: "l", Linkname: "d"}}
	for i, content := range files {
		name := fmt.Sprintf("d/%d", i)
		if format != tar.FormatUSTAR && i%2 == 0 {
			name += strings.Repeat("n", 200)
		}
		headers = append(headers, &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content))})
	}
	for _, h := range headers {
		h.Format, h.Mode = format, 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write(files[0])
			files = files[1:]
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check compares the hashes with those of the whole and of each range, and returns how many ranges there are.
func check(t interface{ Fatalf(string, ...any) }, h *Hash, all []byte) int {
	if want := sha256.Sum256(all); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Fatalf("the archive has the hash %x, not %x", h.Sum(nil), want)
	}
	for off, s := range h.found {
		if off < block || s.size <= 0 || s.size > int64(len(all))-off {
			t.Fatalf("%d bytes at %d are not within %d", s.size, off, len(all))
		}
		p := tree.NewPinner()
		p.Write(all[off:][:s.size])
		if pin, ok := h.Content(off, s.size); !ok || pin != p.Pin() {
			t.Fatalf("%d bytes at %d have the pin %x, %v, not %x", s.size, off, pin, ok, p.Pin())
		}
		if _, ok := h.Content(off, s.size+1); ok {
			t.Fatalf("another size has a hash")
		}
	}
	return len(h.found)
}

// Contents of every format have their hashes, except those with holes, however the archive is divided into writes.
func TestContents(t *testing.T) {
	files := [][]byte{
		nil, {1}, noise(511, 0, 0), noise(512, 5, 512), noise(513, 0, 0), noise(70_000, 0, 0), noise(tree.HoleSize, 0, tree.HoleSize-1),
		noise(3*tree.HoleSize, 100, 2*tree.HoleSize-1), noise(2*tree.HoleSize-1, tree.HoleSize, 2*tree.HoleSize),
		noise(3*tree.HoleSize, tree.HoleSize, 2*tree.HoleSize), noise(2*tree.HoleSize+5, 0, tree.HoleSize), // with holes
	}
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		all, h := archive(t, format, files...), New()
		h.Write(all)
		check(t, h, all)
		for i, f := range files[3:] { // what is shorter is elsewhere, too
			off := int64(bytes.Index(all, f))
			if _, ok := h.Content(off, int64(len(f))); ok != (i < len(files)-3-2) {
				t.Errorf("%v: file %d at %d has a hash: %v", format, i+3, off, ok)
			}
		}
	}
	all, whole := archive(t, tar.FormatPAX, files...), New()
	whole.Write(all)
	hosttest.Check(t, func(t *rapid.T) {
		h := New()
		most := rapid.SampledFrom([]int{2000, 100_000, 1 << 20}).Draw(t, "most")
		for rest := all; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, most).Draw(t, "bytes"))
			h.Write(rest[:n])
			rest = rest[n:]
		}
		if !maps.Equal(h.found, whole.found) || !bytes.Equal(h.Sum(nil), whole.Sum(nil)) {
			t.Fatal("the hashes depend on how the archive is divided")
		}
	})
}

// A block that is no header is passed over, so that what follows a format that is not known is found again.
func TestFoundAgain(t *testing.T) {
	first, second := archive(t, tar.FormatUSTAR, noise(1000, 0, 0)), archive(t, tar.FormatUSTAR, noise(2000, 0, 0))
	all := append(append(bytes.Clone(first[:len(first)-1024]), noise(3*block, 0, 0)...), second...)
	h := New()
	h.Write(all)
	if n := check(t, h, all); n != 2 {
		t.Errorf("%d contents are found", n)
	}
	h.Reset()
	if n := check(t, h, nil); n != 0 {
		t.Errorf("%d contents are found after a reset", n)
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]int64{
		"00000000017\x00": 15, "         17 ": 15, "00000000018\x00": -1, "            ": -1, "777777777777": 1<<36 - 1,
		"\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02": 258, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": -1,
		"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00": -1, "\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": -1,
	} {
		n, ok := number([]byte(text))
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q is %d, not %d", text, n, want)
		}
	}
}

// Whatever is written, all hashes are right.
func FuzzHash(f *testing.F) {
	f.Add(archive(f, tar.FormatGNU, noise(1000, 0, 0), noise(10, 0, 0)), uint16(700))
	f.Add(archive(f, tar.FormatPAX, noise(2000, 0, 0)), uint16(512))
	f.Add([]byte("no archive"), uint16(3))
	hosttest.Fuzz(f, func(t *testing.T, all []byte, first uint16) {
		h, n := New(), min(int(first), len(all))
		h.Write(all[:n])
		h.Write(all[n:])
		check(t, h, all)
	})
}
