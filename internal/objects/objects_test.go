package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imprint/internal/hosttree"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files returns the names in the store, without the directories.
func files(t *testing.T, s *Store) (list []string) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return list
}

func TestPut(t *testing.T) {
	s := open(t)
	for _, size := range []int{0, 1, small, small + 1} {
		text := strings.Repeat("x", size)
		b, err := s.Put(t.Context(), tree.Text(text))
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := tree.PinOf(b); d != sha256.Sum256([]byte(text)) {
			t.Errorf("%d bytes have the digest %x", size, d)
		}
		got, err := tree.ReadAll(b, int64(size))
		if err != nil || string(got) != text {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _, err := s.Put(t.Context(), tree.Text(text)); err != nil {
			t.Error(err)
		}
	}
	all, err := s.All()
	if err != nil || len(all) != 4 || len(files(t, s)) != 4 {
		t.Errorf("%v, there are %v", err, files(t, s))
	}
	for d := range all {
		if err := s.Remove(d); err != nil || s.Has(d) {
			t.Error(err)
		}
	}
	if list := files(t, s); len(list) != 0 {
		t.Errorf("left are %v", list)
	}
}

// A file with holes takes as much space as its data, and keeps its holes.
func TestHoles(t *testing.T) {
	s, name := open(t), filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("end"), 1<<40)
	f.Close()
	b, err := hosttree.File(name)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.Put(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if data := tree.DataOf(stored); len(data) != 1 || data[0] != (tree.Range{Off: 1 << 40, Len: 3}) {
		t.Errorf("data is %v", data)
	}
	var st unix.Stat_t
	if err := unix.Stat(tree.HostPath(stored), &st); err != nil || st.Size != 1<<40+3 || st.Blocks*512 > 4<<20 {
		t.Errorf("%v: %d bytes in %d blocks", err, st.Size, st.Blocks)
	}
	if err := Verify(t.Context(), stored); err != nil {
		t.Error(err)
	}
}

// A damaged content is noticed when it is read, and replaced when it is added again.
func TestDamage(t *testing.T) {
	s := open(t)
	for _, text := range []string{"small", strings.Repeat("large", small)} {
		b, err := s.Put(t.Context(), tree.Text(text))
		if err != nil {
			t.Fatal(err)
		}
		d, _ := tree.PinOf(b)
		for _, spoilt := range []string{"other", text[:len(text)-1] + "x", ""} {
			os.Chmod(s.path(d), 0o600)
			if err := os.WriteFile(s.path(d), []byte(spoilt), 0o600); err != nil {
				t.Fatal(err)
			}
			if b, err := s.Get(d, -1, nil); err != nil || !errors.Is(Verify(t.Context(), b), ErrDamaged) {
				t.Errorf("%.10q for %.10q is taken: %v", spoilt, text, err)
			}
			if _, err := s.Text(d, 1<<30); !errors.Is(err, ErrDamaged) {
				t.Errorf("%.10q for %.10q is read: %v", spoilt, text, err)
			}
			b, err := s.Put(t.Context(), tree.Text(text))
			if err != nil || Verify(t.Context(), b) != nil {
				t.Errorf("it is not replaced: %v", err)
			}
		}
		if _, err := s.Get(d, 1, nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("another size is taken: %v", err)
		}
	}
	if _, err := s.Get(Digest{1}, -1, nil); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ size int64 }

func (f failing) Size() int64                       { return f.size }
func (f failing) Open() (tree.Reader, error)        { return f, nil }
func (f failing) Close() error                      { return nil }
func (f failing) ReadAt([]byte, int64) (int, error) { return 0, errors.New("broken") }

// What fails leaves nothing.
func TestPutFails(t *testing.T) {
	s := open(t)
	if err := s.make(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	large := tree.Text(string(bytes.Repeat([]byte("x"), small+1)))
	if _, err := s.Put(ctx, large); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for _, size := range []int64{1, small + 1} {
		if _, err := s.Put(t.Context(), failing{size}); err == nil {
			t.Error("no error")
		}
	}
	if list := files(t, s); len(list) != 0 {
		t.Errorf("left are %v", list)
	}
}

// The same contents may be added and removed at the same time.
func TestAtOnce(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				d, err := s.PutText(t.Context(), []byte("same"))
				if err != nil && !errors.Is(err, ErrMissing) {
					t.Error(err)
				}
				if i%4 == 0 {
					if err := s.Remove(d); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
}

func TestLock(t *testing.T) {
	s := open(t)
	a, errA := s.Lock(t.Context(), "lock", false)
	b, errB := s.Lock(t.Context(), "lock", false)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, "lock", true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	a()
	b()
	c, err := s.Lock(t.Context(), "lock", true)
	if err != nil {
		t.Fatal(err)
	}
	c()
}

func TestParse(t *testing.T) {
	d := Digest{1, 2, 0xfe}
	if got, err := Parse(Text(d)); err != nil || got != d {
		t.Error(got, err)
	}
	for _, text := range []string{"", "12", strings.Repeat("g", 64), strings.Repeat("A", 64), strings.Repeat("a", 66), "../" + strings.Repeat("a", 61)} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
