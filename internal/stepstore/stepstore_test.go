package stepstore

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/objects"
)

// put adds a result with a log.
func put(t *testing.T, s *Store, r *Result) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("said\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(r, log); err != nil {
		t.Fatal(err)
	}
}

func id(n byte) ID { return ID{n} }

func TestStore(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "steps"))
	if list, damaged, err := s.All(); len(list)+len(damaged) != 0 || err != nil {
		t.Error(list, damaged, err)
	}
	if _, err := s.Get(id(1)); !errors.Is(err, objects.ErrMissing) {
		t.Error(err)
	}
	want := &Result{ID: id(1), Name: "a \"name\"\n", On: id(2), Layer: id(3), After: []ID{id(4), id(5)}}
	put(t, s, want)
	put(t, s, want) // replaces it
	got, err := s.Get(id(1))
	if err != nil || got.Used.IsZero() {
		t.Fatal(got, err)
	}
	got.Used = time.Time{}
	if string(got.text()) != string(want.text()) || got.Name != want.Name || !slices.Equal(got.After, want.After) {
		t.Errorf("%+v", got)
	}
	log, err := s.Log(id(1))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, err := io.ReadAll(log); string(text) != "said\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if layers, err := s.Layers(); err != nil || len(layers) != 1 || layers[0] != id(3) {
		t.Error(layers, err)
	}
	s.Count(true)
	s.Count(true)
	s.Count(false)
	if hits, misses := s.Counts(); hits != 2 || misses != 1 {
		t.Error(hits, misses)
	}
	if err := errors.Join(s.Touch(id(1)), s.Remove(id(1)), s.Remove(id(1))); err != nil {
		t.Error(err)
	}
	if list, damaged, err := s.All(); len(list)+len(damaged) != 0 || err != nil {
		t.Error(list, damaged, err)
	}
	if err := s.Touch(id(1)); err == nil {
		t.Error("what is not there is touched")
	}
}

// A record that is not as it was written is damaged, whatever it says.
func TestDamage(t *testing.T) {
	s := Open(t.TempDir())
	put(t, s, &Result{ID: id(1), Name: "a", On: id(2), Layer: id(3)})
	path := s.path(id(1), recordFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", string(whole[:len(whole)-2]), strings.Replace(string(whole), `"a"`, `"b"`, 1), string(whole) + "after\n", "imprint step 2\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(id(1)); !errors.Is(err, objects.ErrDamaged) {
			t.Errorf("%.20q is taken: %v", text, err)
		}
		if list, damaged, err := s.All(); len(list) != 0 || len(damaged) != 1 || err != nil {
			t.Error(list, damaged, err)
		}
	}
	if err := os.WriteFile(path, (&Result{ID: id(7)}).text(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(id(1)); !errors.Is(err, objects.ErrDamaged) {
		t.Errorf("another record is taken: %v", err)
	}
}

// A result goes with those on top of it, and by age only after them.
func TestRemoval(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	list := []*Result{
		{ID: id(1), Used: at(10)}, {ID: id(2), Used: at(40), After: []ID{id(1)}}, {ID: id(3), Used: at(20)}, {ID: id(4), Used: at(30), After: []ID{id(1), id(2)}}, {ID: id(5), Used: at(99)},
	}
	if got := Dependants(list, id(1)); !slices.Equal(got, []ID{id(1), id(2), id(4)}) {
		t.Errorf("dependants are %v", got)
	}
	if got := Dependants(list, id(3), id(2)); !slices.Equal(got, []ID{id(3), id(2), id(4)}) {
		t.Errorf("dependants are %v", got)
	}
	for _, c := range []struct {
		before int64
		most   int
		want   []ID
	}{
		{35, -1, []ID{id(3), id(4)}}, {50, -1, []ID{id(3), id(4), id(2), id(1)}}, {50, 3, []ID{id(3), id(4), id(2)}}, {50, 0, nil}, {5, -1, nil},
	} {
		if got := Old(list, at(c.before), c.most); !slices.Equal(got, c.want) {
			t.Errorf("before %d, at most %d: %v", c.before, c.most, got)
		}
	}
}

// Of any text there is a record or an error, and a record is the only text of its result.
func FuzzParse(f *testing.F) {
	whole := (&Result{ID: id(1), Name: "a\x00\"", On: id(2), Layer: id(3), After: []ID{id(4)}}).text()
	for _, seed := range [][]byte{whole, whole[:40], nil, []byte(version), []byte(version + "name \"\nsum\n")} {
		f.Add(seed)
	}
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		if r, err := parse(text); err == nil && string(r.text()) != string(text) {
			t.Errorf("%q is the record of %+v", text, r)
		}
	})
}
