package named

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/objects"
)

// A tally is a value with a number.
type tally struct {
	name string
	n    int
}

var tallies = &Kind[tally]{
	Word: "tally", Article: "a",
	Lines: func(v *tally) []byte { return fmt.Appendf(nil, "%d\n", v.n) },
	Parse: func(name string, lines []byte) (*tally, error) {
		n, err := strconv.Atoi(strings.TrimSuffix(string(lines), "\n"))
		return &tally{name, n}, err
	},
}

func newDir(t *testing.T) *Dir[tally] {
	t.Helper()
	contents, err := objects.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return Open(contents, "tallies", tallies)
}

func set(n int) func(*tally) (*tally, error) {
	return func(*tally) (*tally, error) { return &tally{n: n}, nil }
}

func TestChange(t *testing.T) {
	d, ctx := newDir(t), t.Context()
	var unknown *UnknownError
	if err := d.Remove(ctx, "a"); !errors.As(err, &unknown) || unknown.Error() != `there is no tally "a"` {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Dir(d.path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a wrong name makes a store: %v", err)
	}
	for i, name := range []string{"b", "a", "c"} {
		if err := d.Change(ctx, name, set(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Edit(ctx, "a", func(v *tally) error { v.n += 10; return nil }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := d.Edit(ctx, "a", func(v *tally) error { v.n = 99; return broken }); err != broken {
		t.Errorf("got %v", err)
	}
	if v, err := d.Get("a"); err != nil || *v != (tally{"a", 11}) {
		t.Error(v, err)
	}
	if err := d.Remove(ctx, "b"); err != nil {
		t.Error(err)
	}
	if _, err := d.Get("b"); !errors.As(err, &unknown) || !slices.Equal(unknown.Known, []string{"a", "c"}) {
		t.Error(err, unknown)
	}
	for _, name := range []string{"", ".", "..", ".new", "a/b", "-a", "a b", strings.Repeat("a", 129), "ä"} {
		if err := d.Change(ctx, name, set(1)); err == nil {
			t.Errorf("%q is a name", name)
		}
		if _, err := d.Get(name); err == nil || errors.As(err, &unknown) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// What is no file of a value is an error, and what a killed process has left is neither listed nor in the way.
func TestFiles(t *testing.T) {
	d := newDir(t)
	if err := d.Change(t.Context(), "a", set(1)); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(d.path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".new", "imprint tal")
	if err := d.Change(t.Context(), "b", set(2)); err != nil {
		t.Error(err)
	}
	if list, err := d.List(); err != nil || len(list) != 2 || list[1].n != 2 {
		t.Error(list, err)
	}
	for text, want := range map[string]string{
		"":                       "is not the file of a tally",
		"imprint tally 2\n1\n":   "is not the file of a tally",
		"imprint tally 1\n1":     "not in the form",
		"imprint tally 1\n01\n":  "not in the form",
		"imprint tally 1\none\n": "invalid syntax",
	} {
		write("c", text)
		if _, err := d.Get("c"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
		if _, err := d.List(); err == nil {
			t.Errorf("%q is listed", text)
		}
	}
	if err := os.Truncate(filepath.Join(d.path, "c"), maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get("c"); err == nil {
		t.Error("a huge file is read")
	}
	os.Remove(filepath.Join(d.path, "c"))
	if err := os.Symlink("a", filepath.Join(d.path, "c")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get("c"); err == nil {
		t.Error("a link is followed")
	}
}

// No change is lost.
func TestAtOnce(t *testing.T) {
	d := newDir(t)
	if err := d.Change(t.Context(), "a", set(0)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				if err := d.Edit(t.Context(), "a", func(v *tally) error { v.n++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if v, err := d.Get("a"); err != nil || v.n != 20 {
		t.Error(v, err)
	}
}

func FuzzValue(f *testing.F) {
	f.Add(tallies.Text(&tally{n: 7}))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		if v, err := tallies.Value("a", text); err == nil && string(tallies.Text(v)) != string(text) {
			t.Errorf("%q becomes %q", text, tallies.Text(v))
		}
	})
}
