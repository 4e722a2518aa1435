package cas

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is listed are the contents, those first that were not read for longest, and nothing else that is there.
func TestList(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if list, err := List(dir); len(list) > 0 || err != nil {
		t.Error(list, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a list makes a store")
	}
	s := open(t, dir)
	now := time.Now()
	var sums []Digest
	for i, text := range []string{"", "a", "bb"} {
		d := Digest(sha256.Sum256([]byte(text)))
		if _, err := s.Add(t.Context(), d, int64(len(text)), writes(text)); err != nil {
			t.Fatal(err)
		}
		old := now.Add(time.Duration(-i) * time.Hour)
		if err := os.Chtimes(s.Path(d), old, old.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, d)
	}
	for _, name := range []string{"sha256/00/x", "sha256/" + filepath.Base(s.Path(sums[0])), "partial/y"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := List(dir)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for i, k := range list {
		if n := 2 - i; k.Digest != sums[n] || k.Size != int64(n) || !k.Read.Equal(now.Add(time.Duration(-n)*time.Hour)) {
			t.Errorf("%d: %+v", i, k)
		}
	}
	faults := 0
	if n, err := Verify(t.Context(), dir, func(error) { faults++ }); n != 3 || faults != 0 || err != nil {
		t.Error(n, faults, err)
	}
	os.Chmod(s.Path(sums[1]), 0o644)
	if err := os.WriteFile(s.Path(sums[1]), []byte("b"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := Verify(t.Context(), dir, func(error) { faults++ }); n != 3 || faults != 1 || err != nil {
		t.Error(n, faults, err)
	}
	for range 2 {
		if err := Remove(dir, sums[1]); err != nil {
			t.Error(err)
		}
	}
	if list, err := List(dir); len(list) != 2 || err != nil {
		t.Error(list, err)
	}
}
