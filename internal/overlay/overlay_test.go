package overlay

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// text is a base in memory. Blocks of zeros are holes.
type text []byte

func (b text) Size() int64 { return int64(len(b)) }

func (b text) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (b text) Run(off, limit int64) (end int64, data bool) {
	end = min(limit, (off/blockSize+1)*blockSize)
	return end, !zeros(b[off/blockSize*blockSize : min(b.Size(), (off/blockSize+1)*blockSize)])
}

func zeros(p []byte) bool { return len(bytes.Trim(p, "\x00")) == 0 }

// base is a disk of a size in bytes, in which every other block holds data.
func base(size int) text {
	b := make(text, size)
	for i := range b {
		if i/blockSize%2 == 0 {
			b[i] = byte(i%251) + 1
		}
	}
	return b
}

func open(t testing.TB, path string, b text, id [32]byte) *Disk {
	t.Helper()
	d, err := Open(path, b, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// check compares the disk with what it should hold, byte for byte and hole for hole: what Run calls a hole is zeros.
func check(t interface{ Fatalf(string, ...any) }, d *Disk, want []byte) {
	got := make([]byte, len(want))
	if n, err := d.ReadAt(got, 0); n != len(want) || err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the disk holds something else: %d bytes, %v", n, err)
	}
	for off := int64(0); off < d.Size(); {
		end, data := d.Run(off, d.Size())
		if end <= off || end > d.Size() {
			t.Fatalf("a run from %d to %d", off, end)
		}
		if !data && !zeros(want[off:end]) {
			t.Fatalf("bytes %d to %d are no hole", off, end)
		}
		off = end
	}
}

// Whatever is written, the disk holds it, and does after it was closed and opened again.
func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	hosttest.Check(t, func(r *rapid.T) {
		b := base(rapid.IntRange(1, 40*blockSize).Draw(r, "size"))
		path := filepath.Join(dir, "file")
		defer os.Remove(path)
		want := bytes.Clone(b)
		d := open(t, path, b, [32]byte{1})
		for range rapid.IntRange(1, 12).Draw(r, "changes") {
			off := rapid.IntRange(0, len(b)).Draw(r, "off")
			n := rapid.IntRange(0, len(b)-off).Draw(r, "n")
			var err error
			if rapid.Bool().Draw(r, "zero") {
				clear(want[off : off+n])
				err = d.Zero(int64(off), int64(n))
			} else {
				p := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(r, "byte"))}, n)
				copy(want[off:], p)
				_, err = d.WriteAt(p, int64(off))
			}
			if err != nil {
				r.Fatalf("%d bytes at %d: %v", n, off, err)
			}
			check(r, d, want)
			if rapid.Bool().Draw(r, "again") {
				if err := errors.Join(d.Sync(), d.Close()); err != nil {
					r.Fatalf("%v", err)
				}
				d = open(t, path, b, [32]byte{1})
				check(r, d, want)
			}
		}
		d.Close()
	})
}

// The file takes only the space of blocks that were written, also over a disk of terabytes, and releases that of blocks that become zeros.
func TestSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	d, err := Open(path, large(8<<40), [32]byte{})
	if err != nil {
		t.Skip(err) // a file system without files of this size
	}
	defer d.Close()
	used := func() int64 {
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	for i := range int64(4) {
		if _, err := d.WriteAt(bytes.Repeat([]byte("x"), 1<<20), i*(2<<40)); err != nil {
			t.Fatal(err)
		}
	}
	if n := used(); n < 4<<20 || n > 5<<20 {
		t.Errorf("4 MiB take %d bytes", n)
	}
	for i := range int64(4) {
		if err := d.Zero(i*(2<<40), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	if n := used(); n > 1<<20 {
		t.Errorf("zeros take %d bytes", n)
	}
	if end, data := d.Run(0, 8<<40); end != 8<<40 || data {
		t.Errorf("a hole of 8 TiB ends at %d", end)
	}
}

// large is a base of holes.
type large int64

func (l large) Size() int64                                 { return int64(l) }
func (l large) Run(_, limit int64) (int64, bool)            { return limit, false }
func (l large) ReadAt(p []byte, off int64) (n int, _ error) { clear(p); return len(p), nil }

// What cannot be the file is refused, and stays as it is.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	b := base(3 * blockSize)
	mine := filepath.Join(dir, "mine")
	open(t, mine, b, [32]byte{1})
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	closed := filepath.Join(dir, "closed")
	open(t, closed, b, [32]byte{1}).Close()
	short := filepath.Join(dir, "short")
	open(t, short, b, [32]byte{2}).Close()
	damaged := filepath.Join(dir, "damaged")
	open(t, damaged, b, [32]byte{2}).Close()
	f, err := os.OpenFile(damaged, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte{0xff}, blockSize)
	f.Close()
	os.Truncate(short, 2*blockSize)
	os.Symlink(closed, filepath.Join(dir, "link"))
	unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)
	for path, want := range map[string]string{
		mine:                         "another program uses it",
		closed:                       "it belongs to another image",
		short:                        "instead of",
		damaged:                      "its map is damaged",
		write("text", "some text"):   "a different file exists",
		write("like", magic):         "a different file exists",
		filepath.Join(dir, "link"):   "too many levels of symbolic links",
		filepath.Join(dir, "fifo"):   "it is not a regular file",
		dir:                          "is a directory",
		filepath.Join(dir, "no/way"): "no such file",
	} {
		read := func() (text []byte) {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				text, _ = os.ReadFile(path)
			}
			return text
		}
		before := read()
		d, err := Open(path, b, [32]byte{2})
		if err == nil {
			d.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if after := read(); !bytes.Equal(before, after) {
			t.Errorf("%s has changed", path)
		}
	}
}

// FuzzOpen opens anything as a file: it is refused, or it is a disk every byte of which can be read.
func FuzzOpen(f *testing.F) {
	b := base(5*blockSize + 7)
	path := filepath.Join(f.TempDir(), "file")
	d := open(f, path, b, [32]byte{})
	d.WriteAt([]byte("text"), 3*blockSize-2)
	d.Zero(0, blockSize)
	d.Sync()
	d.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:2*blockSize])
	f.Add(whole[:20])
	f.Add([]byte{})
	hosttest.Fuzz(f, func(t *testing.T, head []byte) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt(head[:min(len(head), len(whole))], 0)
		f.Close()
		d, err := Open(path, b, [32]byte{})
		if err != nil {
			return
		}
		defer d.Close()
		got := make([]byte, b.Size())
		if n, err := d.ReadAt(got, 0); n != len(got) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}
