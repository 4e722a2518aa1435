package inflate

import (
	"bytes"
	"math/rand"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"imprint/internal/hosttest"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"
)

var all = map[string]struct {
	unpack Func
	pack   func(t testing.TB, content []byte) []byte
}{
	"zlib": {Zlib, func(t testing.TB, content []byte) []byte {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		return written(t, &b, w, content)
	}},
	"xz": {XZ, func(t testing.TB, content []byte) []byte {
		var b bytes.Buffer
		w, err := xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		return written(t, &b, w, content)
	}},
	"zstd": {Zstd, func(_ testing.TB, content []byte) []byte {
		return zstdEncoder().EncodeAll(content, nil)
	}},
	"lz4": {LZ4, packLZ4},
	"lzo": {LZO, packLZO},
}

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return w
})

func written(t testing.TB, b *bytes.Buffer, w interface {
	Write([]byte) (int, error)
	Close() error
}, content []byte) []byte {
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packLZ4 makes a block of LZ4 with the longest copy of each run of equal bytes, and all else as literals.
func packLZ4(_ testing.TB, content []byte) (b []byte) {
	for {
		n, run := firstRun(content)
		more := func(n int) {
			for n -= 15; n >= 255; n -= 255 {
				b = append(b, 255)
			}
			if n >= 0 {
				b = append(b, byte(n))
			}
		}
		b = append(b, byte(min(n, 15)<<4|max(0, min(run-4, 15))))
		more(n)
		b = append(b, content[:n]...)
		if run == 0 {
			return b
		}
		b = append(b, 1, 0)
		more(run - 4)
		content = content[n+run:]
	}
}

// firstRun returns how many bytes come before those that repeat the byte before them at least 20 times, and how many these are; 0 if there are none.
func firstRun(content []byte) (n, run int) {
	for n = 1; n < len(content); n++ {
		for run = 0; n+run < len(content) && content[n+run] == content[n-1]; run++ {
		}
		if run >= 20 {
			return n, run
		}
	}
	return len(content), 0
}

// packLZO is packLZ4 for LZO.
func packLZO(_ testing.TB, content []byte) (b []byte) {
	zeros := func(n int) { // n is what is left of a length whose bits are 0
		for ; n > 255; n -= 255 {
			b = append(b, 0)
		}
		b = append(b, byte(n))
	}
	for {
		n, run := firstRun(content)
		switch {
		case n == 0:
		case len(b) == 0 && n < 239:
			b = append(b, byte(n+17))
		case n <= 3: // in the bits of the copy before
			b[len(b)-2] |= byte(n)
		case n <= 18:
			b = append(b, byte(n-3))
		default:
			b = append(b, 0)
			zeros(n - 18)
		}
		b = append(b, content[:n]...)
		if run == 0 {
			return append(b, 17, 0, 0)
		}
		if run < 34 {
			b = append(b, byte(32|(run-2)))
		} else {
			b = append(b, 32)
			zeros(run - 33)
		}
		b = append(b, 0, 0)
		content = content[n+run:]
	}
}

// drawn is content in which bytes often repeat.
func drawn(t *rapid.T) (content []byte) {
	for range rapid.IntRange(0, 8).Draw(t, "parts") {
		b := rapid.Byte().Draw(t, "byte")
		content = append(content, bytes.Repeat([]byte{b}, rapid.IntRange(0, 700).Draw(t, "times"))...)
		content = append(content, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes")...)
	}
	return content
}

// A block has what was packed, whatever room there is after it, and not without that room. A part of one is an error.
func TestUnpack(t *testing.T) {
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			hosttest.Check(t, func(t *rapid.T) {
				want := drawn(t)
				packed := c.pack(fataler{t: t}, want)
				dst := make([]byte, len(want)+rapid.IntRange(0, 9).Draw(t, "room"))
				if n, err := c.unpack(dst, packed); err != nil || !bytes.Equal(dst[:n], want) {
					t.Fatalf("%x unpacks to %x, %v; want %x", packed, dst[:n], err, want)
				}
				if len(want) > 0 {
					if n, err := c.unpack(dst[:len(want)-1], packed); err == nil {
						t.Fatalf("without room for the last byte: %d bytes, %v", n, err)
					}
				}
				if part := rapid.IntRange(0, max(0, len(packed)-1)).Draw(t, "part"); len(want) > 0 {
					if n, err := c.unpack(dst, packed[:part]); err == nil && n == len(want) {
						t.Fatalf("%d of %d bytes are complete", part, len(packed))
					}
				}
			})
		})
	}
}

// A fataler is a testing.TB with what the packers need of one.
type fataler struct {
	testing.TB
	t *rapid.T
}

func (f fataler) Fatal(args ...any) { f.t.Fatal(args...) }

// The blocks of the programs are understood, in which there are all kinds of copies.
func TestPrograms(t *testing.T) {
	content := prose()
	for _, c := range []struct {
		program []string
		unpack  Func
		block   func(file []byte) []byte
	}{
		// The frame that lz4 -l writes is a magic number, and for each block its length (lz4_Frame_format.md, "Legacy frame").
		{[]string{"lz4", "-l", "-c", "-1"}, LZ4, func(b []byte) []byte { return b[8:] }},
		{[]string{"lz4", "-l", "-c", "-9"}, LZ4, func(b []byte) []byte { return b[8:] }},
		// A header without a name has 34 bytes; a block follows with its length when unpacked, that when packed, and a checksum.
		{[]string{"lzop", "-c", "-1"}, LZO, lzopBlock},
		{[]string{"lzop", "-c", "-9"}, LZO, lzopBlock},
	} {
		t.Run(strings.Join(c.program, " "), func(t *testing.T) {
			hosttest.Need(t, c.program[0])
			cmd := exec.Command(c.program[0], c.program[1:]...)
			cmd.Stdin = bytes.NewReader(content)
			file, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			dst := make([]byte, len(content))
			if n, err := c.unpack(dst, c.block(file)); err != nil || n != len(content) || !bytes.Equal(dst, content) {
				t.Errorf("%d bytes, %v, of %d", n, err, len(content))
			}
		})
	}
}

func lzopBlock(file []byte) []byte {
	const header = 9 + 2 + 2 + 2 + 1 + 1 + 4 + 4 + 4 + 4 + 1 + 4
	const before = 4 + 4 + 4 // the checksum is that of the content
	size := int(file[header+4])<<24 | int(file[header+5])<<16 | int(file[header+6])<<8 | int(file[header+7])
	return file[header+before:][:size]
}

// prose is text with many repetitions, near and far, in one block of lzop.
func prose() []byte {
	r, words := rand.New(rand.NewSource(1)), strings.Fields("a closure of items in a store becomes an image that boots on any machine without a step that needs root")
	var b bytes.Buffer
	for b.Len() < 200<<10 {
		b.WriteString(words[r.Intn(len(words))])
		if r.Intn(50) == 0 {
			b.WriteString(strings.Repeat("-", r.Intn(700)))
		}
		if r.Intn(200) == 0 {
			noise := make([]byte, r.Intn(500))
			r.Read(noise)
			b.Write(noise)
		}
	}
	return b.Bytes()
}

// Blocks that are wrong are errors.
func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name, block, want string
		unpack            Func
	}{
		{"nothing", "", "ends early", LZ4},
		{"a copy of nothing", "\x00\x01\x00", "before its beginning", LZ4},
		{"a distance of zero", "\x10a\x00\x00", "before its beginning", LZ4},
		{"a length without end", "\xf0" + strings.Repeat("\xff", 1000), "longer", LZ4},
		{"half a distance", "\x10a\x01", "ends early", LZ4},
		{"nothing", "", "ends early", LZO},
		{"a version", "\x11\x01\x11\x00\x00", "another version", LZO},
		{"a copy of what is not there", "\x12a\x40\x08", "before its beginning", LZO},
		{"no end", "\x12a", "ends early", LZO},
		{"more after the end", "\x12a\x11\x00\x00b", "1 bytes follow", LZO},
		{"a length without end", "\x12a\x20" + strings.Repeat("\x00", 1000), "longer", LZO},
		{"text", "text", "zlib", Zlib},
		{"text", "text", "", XZ},
		{"text", "text", "zstd", Zstd},
	} {
		if n, err := c.unpack(make([]byte, 100), []byte(c.block)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d bytes, %v; want %q", c.name, n, err, c.want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	names := []string{"zlib", "xz", "zstd", "lz4", "lzo"}
	for i, name := range names {
		f.Add(byte(i), all[name].pack(f, []byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")))
	}
	hosttest.Fuzz(f, func(t *testing.T, which byte, block []byte) {
		dst := make([]byte, 4096)
		n, err := all[names[int(which)%len(names)]].unpack(dst, block)
		if n < 0 || n > len(dst) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}
