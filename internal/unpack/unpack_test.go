package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/compressed"
	"imprint/internal/hosttest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// pack compresses with the program itself.
func pack(t testing.TB, by string, content []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(by); err != nil {
		t.Skip(err)
	}
	c := exec.Command(by, append(args, "-c")...)
	c.Stdin = bytes.NewReader(content)
	out, err := c.Output()
	if err != nil {
		t.Fatal(by, err)
	}
	return out
}

// content has holes, text, and an end that fills no buffer.
func content() []byte {
	text := bytes.Repeat([]byte("a line of text\n"), 100_000)
	return append(append(text, make([]byte, 3*bufferSize)...), text[:777]...)
}

func TestFile(t *testing.T) {
	for by := range formats {
		t.Run(by, func(t *testing.T) {
			dir := t.TempDir()
			want := content()
			packed := pack(t, by, want)
			if compressed.By(packed) != by {
				t.Errorf("is taken for %q", compressed.By(packed))
			}
			packed = append(packed, pack(t, by, []byte("a second part"))...)
			f, err := File(t.Context(), dir, "x", bytes.NewReader(packed), by)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := io.ReadAll(f)
			if err != nil || string(got) != string(want)+"a second part" {
				t.Errorf("%d bytes, %v, instead of %d", len(got), err, len(want)+13)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestDamaged(t *testing.T) {
	for by := range formats {
		t.Run(by, func(t *testing.T) {
			packed := pack(t, by, content())
			for _, bad := range [][]byte{packed[:len(packed)-1], packed[:len(packed)/2], append([]byte("x"), packed...), flipped(packed)} {
				f, err := File(t.Context(), t.TempDir(), "x", bytes.NewReader(bad), by)
				if err == nil {
					f.Close()
					t.Errorf("%d of %d bytes are no error", len(bad), len(packed))
				} else if !strings.HasPrefix(err.Error(), "damaged: "+by) {
					t.Error(err)
				}
			}
		})
	}
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 0x40
	return b
}

// What unpacks to more than a disk holds ends before the disk is full, and without a trace.
func TestLimit(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := copyUpTo(t.Context(), f, strings.NewReader(strings.Repeat("x", 5<<20)), 3<<20, "gzip"); !errors.Is(err, errLimit) {
		t.Errorf("5 MiB where 3 are free: %v", err)
	}
	if info, err := f.Stat(); err != nil || info.Size() > 3<<20 {
		t.Errorf("%d bytes were written, %v", info.Size(), err)
	}
	if text := (&TooLargeError{"/d", 3 << 20}).Error(); text != "unpacks to more than 3 MiB, which is what is free in /d" {
		t.Error(text)
	}
}

func TestInterrupted(t *testing.T) {
	cause := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(content())
	w.Close()
	if _, err := File(ctx, t.TempDir(), "x", &packed, "gzip"); !errors.Is(err, cause) {
		t.Error(err)
	}
}

// A window of 256 MiB is refused before its memory is taken.
func TestWindow(t *testing.T) {
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, 1<<20))
	w.Flush()
	w.Write(make([]byte, 1<<20))
	w.Close()
	if f, err := File(t.Context(), t.TempDir(), "x", &packed, "zstd"); err == nil {
		f.Close()
		t.Error("a window of 256 MiB is no error")
	}
}

func FuzzReader(f *testing.F) {
	for by := range formats {
		if _, err := exec.LookPath(by); err == nil {
			f.Add(by, pack(f, by, []byte("content content content")))
		}
	}
	f.Add("lz4", []byte("x"))
	hosttest.Fuzz(f, func(t *testing.T, by string, packed []byte) {
		r, err := Reader(bytes.NewReader(packed), by)
		if err != nil {
			return
		}
		defer r.Close()
		n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		if n > 0 && len(packed) == 0 {
			t.Errorf("%d bytes of nothing, %v", n, err)
		}
	})
}

func TestKnows(t *testing.T) {
	for by := range formats {
		if !Knows(by) || fmt.Sprint(compressed.Unpack(by)) == "" {
			t.Errorf("%s is not known", by)
		}
	}
	if _, err := Reader(nil, "lz4"); err == nil || Knows("lz4") {
		t.Error("lz4 is no error")
	}
}

// The name of a format is in a message once.
func TestReading(t *testing.T) {
	for by, c := range map[string][2]string{
		"gzip": {"gzip: invalid checksum", "damaged: gzip: invalid checksum"}, "zstd": {"unexpected EOF", "damaged: zstd: unexpected EOF"},
	} {
		if got := reading(by, errors.New(c[0])).Error(); got != c[1] {
			t.Errorf("%s: %s", by, got)
		}
	}
}

// Formats that cannot be recognised are unpacked by name, and damage is detected if the format has a checksum.
func TestNameless(t *testing.T) {
	want := content()
	var packed bytes.Buffer
	w := brotli.NewWriterLevel(&packed, 5)
	w.Write(want)
	w.Close()
	for by, packed := range map[string][]byte{"brotli": packed.Bytes(), "none": want} {
		r, err := Reader(bytes.NewReader(packed), by)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", by, len(got), err)
		}
	}
	r, _ := Reader(bytes.NewReader(packed.Bytes()[:packed.Len()/2]), "brotli")
	if _, err := io.ReadAll(r); err == nil {
		t.Error("half of it is whole")
	}
	if _, err := Reader(nil, "lz4"); err == nil {
		t.Error("lz4 is supported")
	}
}
