package cas

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprint/internal/tree"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writes(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

// files returns the names of all files but the tag.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "CACHEDIR.TAG" {
			names = append(names, path)
		}
		return err
	})
	return names
}

// What was added is there, also for the next process, and is not made again.
func TestAdd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	text := strings.Repeat("text", 100_000)
	d := Digest(sha256.Sum256([]byte(text)))
	size := int64(len(text))
	if _, err := open(t, dir).Get(t.Context(), d, size); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, fill := range []func(io.Writer) error{writes(text), func(io.Writer) error { t.Error("made twice"); return nil }} {
		b, err := open(t, dir).Add(t.Context(), d, size, fill)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tree.ReadAll(b, size); string(got) != text || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	if _, err := open(t, dir).Get(t.Context(), d, size); err != nil {
		t.Error(err)
	}
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("%q", all)
	}
	empty := Digest(sha256.Sum256(nil))
	if b, err := open(t, dir).Add(t.Context(), empty, 0, writes("")); err != nil || b.Size() != 0 {
		t.Error(err)
	}
}

// A content whose size nobody knows is added and found by its digest alone.
func TestAnySize(t *testing.T) {
	s := open(t, t.TempDir())
	d := Digest(sha256.Sum256([]byte("text")))
	if _, err := s.Add(t.Context(), d, AnySize, writes("texts")); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
	var other *OtherError
	if _, err := s.Add(t.Context(), d, AnySize, writes("")); !errors.As(err, &other) || other.Got != sha256.Sum256(nil) || other.Want != d {
		t.Error(err)
	}
	for range 2 {
		if b, err := s.Add(t.Context(), d, AnySize, writes("text")); err != nil || b.Size() != 4 {
			t.Error(err)
		}
	}
	if b, err := s.Get(t.Context(), d, AnySize); err != nil || b.Size() != 4 {
		t.Error(err)
	}
}

// A content whose digest nobody knows is there by its digest afterwards, and one that fails leaves nothing.
func TestAddUnknown(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	from, d := Digest(sha256.Sum256([]byte("packed"))), Digest(sha256.Sum256([]byte("text")))
	if _, _, err := s.AddUnknown(t.Context(), sha256.New(), from, func(io.Writer) error { return io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if all := files(t, dir); len(all) != 0 {
		t.Errorf("%q", all)
	}
	for range 2 {
		b, got, err := s.AddUnknown(t.Context(), sha256.New(), from, writes("text"))
		if err != nil || got != d || b.Size() != 4 || !s.Has(d, 4) {
			t.Errorf("%x, %v", got, err)
		}
	}
	if b, err := s.Get(t.Context(), d, 4); err != nil || tree.HostPath(b) != s.Path(d) {
		t.Error(err)
	}
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("%q", all)
	}
}

// What is not what it should be leaves nothing.
func TestAddRefuses(t *testing.T) {
	dir := t.TempDir()
	d := Digest(sha256.Sum256([]byte("text")))
	for what, c := range map[string]struct {
		size int64
		fill func(io.Writer) error
		want error
	}{
		"another":     {4, writes("Text"), ErrMismatch},
		"shorter":     {4, writes("tex"), ErrMismatch},
		"longer":      {4, writes("texts"), ErrMismatch},
		"failed":      {4, func(io.Writer) error { return io.ErrUnexpectedEOF }, io.ErrUnexpectedEOF},
		"gigantic":    {1 << 60, writes("text"), nil},
		"other bytes": {3, writes("tex"), ErrMismatch},
	} {
		if _, err := open(t, dir).Add(t.Context(), d, c.size, c.fill); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if all := files(t, dir); len(all) > 0 {
			t.Errorf("%s: leaves %q", what, all)
		}
	}
	if b, err := open(t, dir).Add(t.Context(), d, 4, writes("text")); err != nil || b.Size() != 4 {
		t.Errorf("after all that: %v", err)
	}
}

// A damaged content is noticed and made again.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	d := Digest(sha256.Sum256([]byte("text")))
	for _, damage := range []string{"tExt", "tex", "", "texts"} {
		b, err := open(t, dir).Add(t.Context(), d, 4, writes("text"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := tree.ReadAll(b, 4); string(got) != "text" {
			t.Errorf("%q stays", got)
		}
		if err := os.WriteFile(tree.HostPath(b), []byte(damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, dir).Get(t.Context(), d, 4); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", damage, err)
		}
	}
}

// Of many that add the same at the same time one does it.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	text := bytes.Repeat([]byte("x"), 1<<20)
	d := Digest(sha256.Sum256(text))
	var fills atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := open(t, dir).Add(t.Context(), d, 1<<20, func(w io.Writer) error {
				fills.Add(1)
				time.Sleep(20 * time.Millisecond)
				_, err := w.Write(text)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if fills.Load() != 1 || len(files(t, dir)) != 1 {
		t.Errorf("made %d times: %q", fills.Load(), files(t, dir))
	}
}

const child = "CAS_CHILD"

// A process that is killed in the middle leaves a file that the next one removes, and is not in its way.
func TestKilled(t *testing.T) {
	d := Digest(sha256.Sum256([]byte("text")))
	if dir := os.Getenv(child); dir != "" {
		open(t, dir).Add(t.Context(), d, 4, func(w io.Writer) error {
			io.WriteString(w, "te")
			os.Stdout.WriteString("half\n")
			select {}
		})
	}
	dir := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	c.Env = append(os.Environ(), child+"="+dir)
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("while it lives: %q", all)
	}
	open(t, dir) // does not take what a living process has
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("another process has removed it: %q", all)
	}
	c.Process.Kill()
	c.Wait()
	s := open(t, dir)
	if all := files(t, dir); len(all) != 0 {
		t.Errorf("it leaves %q", all)
	}
	if _, err := s.Add(t.Context(), d, 4, writes("text")); err != nil {
		t.Error(err)
	}
}
