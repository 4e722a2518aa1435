package series

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/recipe"
	"imprint/internal/restore"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T) *Store {
	t.Helper()
	contents, err := objects.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return Open(contents)
}

// add adds a generation whose disk is a text.
func add(t *testing.T, s *Store, name, text string) (number int, added bool) {
	t.Helper()
	d, err := s.Contents().PutText(t.Context(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := recipe.New(4096)
	b.Add(recipe.Run{Len: int64(len(text)), Content: b.Content(recipe.Content{Digest: d, Size: int64(len(text))})})
	disk, err := b.Recipe()
	if err != nil {
		t.Fatal(err)
	}
	f := &Finished{Image: "image-" + text, Manifest: []byte(text), Inputs: []Input{{"a", text}, {"b", "same"}}, Recipe: disk, Sums: restore.NewSums(4096)}
	if text != "one" {
		f.Outlines = []byte("outlines of " + text)
	}
	r, err := s.Put(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	number, added, err = s.Add(t.Context(), name, r, []objects.Digest{d})
	if err != nil {
		t.Fatal(err)
	}
	return number, added
}

func series(t *testing.T, s *Store, name string) *Series {
	t.Helper()
	e, err := s.Series(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func numbers(e *Series) (list []int) {
	for _, g := range e.Generations {
		list = append(list, g.Number)
	}
	return list
}

func TestGenerations(t *testing.T) {
	s := open(t)
	for i, text := range []string{"one", "two", "two", "three"} {
		number, added := add(t, s, "web", text)
		if want := []int{1, 2, 2, 3}[i]; number != want || added != (i != 2) {
			t.Errorf("%s is generation %d, added %v", text, number, added)
		}
	}
	e := series(t, s, "web")
	g, err := e.Find("2")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Record(g)
	if err != nil || r.Image != "image-two" {
		t.Errorf("generation 2 is %+v, %v", r, err)
	}
	inputs, err := s.Inputs(r)
	if d := cmp.Diff([]Input{{"a", "two"}, {"b", "same"}}, inputs); err != nil || d != "" {
		t.Error(err, d)
	}
	for number, want := range map[string]string{"1": "", "2": "outlines of two"} {
		g, err := e.Find(number)
		if err != nil {
			t.Fatal(err)
		}
		one, err := s.Record(g)
		if err != nil {
			t.Fatal(err)
		}
		if outlines, err := s.Outlines(one); string(outlines) != want || err != nil {
			t.Errorf("generation %s has %q, %v", number, outlines, err)
		}
	}
	sums, err := s.Sums(r)
	if d := cmp.Diff(restore.NewSums(4096), sums); err != nil || d != "" {
		t.Error(err, d)
	}
	if from, to, err := s.RollBack(t.Context(), "web"); from != 3 || to != 2 || err != nil {
		t.Error(from, to, err)
	}
	if number, _ := add(t, s, "web", "four"); number != 4 {
		t.Errorf("after a roll-back comes generation %d", number)
	}
	for range 3 {
		if _, _, err := s.RollBack(t.Context(), "web"); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := s.RollBack(t.Context(), "web"); !errors.Is(err, ErrFirst) {
		t.Errorf("got %v", err)
	}
}

func TestTags(t *testing.T) {
	s := open(t)
	for _, text := range []string{"one", "two", "three"} {
		add(t, s, "web", text)
	}
	ctx := t.Context()
	if n, err := s.Tag(ctx, "web", "stable", "1"); n != 1 || err != nil {
		t.Error(n, err)
	}
	for what, err := range map[string]error{
		"a number":     second(s.Tag(ctx, "web", "7", "1")),
		"a bad name":   second(s.Tag(ctx, "web", "a b", "1")),
		"an unknown":   second(s.Tag(ctx, "web", "x", "9")),
		"no series":    second(s.Tag(ctx, "wbe", "x", "1")),
		"current gone": s.Untag(ctx, "web", Current),
		"unknown gone": s.Untag(ctx, "web", "x"),
		"tagged":       second(s.RemoveGeneration(ctx, "web", "stable")),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if removed, err := s.Prune(ctx, 1, true); err != nil || !slices.Equal(removed["web"], []int{2}) {
		t.Error(removed, err)
	}
	if e := series(t, s, "web"); len(e.Generations) != 3 {
		t.Error("a dry run removes")
	}
	if _, err := s.Prune(ctx, 1, false); err != nil {
		t.Error(err)
	}
	if got := numbers(series(t, s, "web")); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("left are %v", got)
	}
	if err := s.Untag(ctx, "web", "stable"); err != nil {
		t.Error(err)
	}
	if n, err := s.RemoveGeneration(ctx, "web", "1"); n != 1 || err != nil {
		t.Error(n, err)
	}
	if err := s.Remove(ctx, "web"); err != nil {
		t.Error(err)
	}
	var unknown *named.UnknownError
	if _, err := s.Series("web"); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// What is live is all that is there, and after a generation is removed what only it had is not.
func TestLive(t *testing.T) {
	s := open(t)
	add(t, s, "web", "one")
	add(t, s, "web", "two")
	all, err := s.Contents().All()
	if err != nil {
		t.Fatal(err)
	}
	live := map[objects.Digest]bool{}
	if err := s.Live(live, 0); err != nil || len(live) != len(all) {
		t.Errorf("%d of %d are live, %v", len(live), len(all), err)
	}
	last := map[objects.Digest]bool{}
	if err := s.Live(last, 1); err != nil || len(last) >= len(live) {
		t.Errorf("%d of %d are of the last, %v", len(last), len(live), err)
	}
	if n, err := s.Verify(t.Context(), func(err error) { t.Error(err) }); n != len(all) || err != nil {
		t.Error(n, err)
	}
	for d := range last {
		if err := s.Contents().Remove(d); err != nil {
			t.Fatal(err)
		}
		faults := 0
		if _, err := s.Verify(t.Context(), func(error) { faults++ }); err != nil || faults == 0 {
			t.Errorf("%s is gone, and verify finds %d faults, %v", objects.Text(d), faults, err)
		}
		break
	}
}

// A file holds a generation until somebody writes to it.
func TestNote(t *testing.T) {
	s := open(t)
	add(t, s, "web", "one")
	add(t, s, "web", "two")
	for i := range 5 {
		name := filepath.Join(t.TempDir(), fmt.Sprint(i))
		os.WriteFile(name, []byte("disk"), 0o600)
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, known := series(t, s, "web").Holds(f); known {
			t.Error("a new file holds a generation")
		}
		if err := s.Note(t.Context(), "web", 1, f); err != nil {
			t.Fatal(err)
		}
		if g, known := series(t, s, "web").Holds(f); !known || g.Number != 1 {
			t.Errorf("it holds %v, %v", g, known)
		}
		f.WriteAt([]byte("D"), 0) // as soon as possible
		if _, known := series(t, s, "web").Holds(f); known {
			t.Error("a file that was written to holds a generation")
		}
		if err := s.Begin(t.Context(), "web", f, 1, 2); err != nil {
			t.Fatal(err)
		}
		if list := series(t, s, "web").Interrupted(f); len(list) != 2 || list[0].Number != 1 || list[1].Number != 2 {
			t.Error(list)
		}
		other, err := os.Create(filepath.Join(t.TempDir(), "other"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if err := s.Begin(t.Context(), "web", other, 1, 2); err != nil { // and never ends
			t.Fatal(err)
		}
		if err := s.Note(t.Context(), "web", 2, f); err != nil {
			t.Fatal(err)
		}
		if list := series(t, s, "web").Interrupted(f); list != nil {
			t.Error("an update that has ended is pending")
		}
	}
	if e := series(t, s, "web"); len(e.Files) != 5 || len(e.Pending) != 5 {
		t.Errorf("%d files are remembered, and %d updates", len(e.Files), len(e.Pending))
	}
}

// Several processes may add to a series at the same time.
func TestAtOnce(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range 3 {
				add(t, s, "web", fmt.Sprint(i, k))
			}
		})
	}
	all.Wait()
	e := series(t, s, "web")
	if len(e.Generations) != 12 || e.Tags[Current] != 12 {
		t.Errorf("%d generations, %d is current", len(e.Generations), e.Tags[Current])
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("imprint series 1\n"))
	f.Add(fmt.Appendf(nil, "imprint series 1\ngeneration 1 %064x\ngeneration 3 %064x\ntag current 3\ntag stable 1\nfile 1 1 2 3 4 5\npending 1 3 1 2 5\n", 1, 2))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		e, err := kind.Value("x", text)
		if err != nil {
			return
		}
		if string(kind.Text(e)) != string(text) {
			t.Errorf("%q becomes %q", text, kind.Text(e))
		}
		if _, err := e.Find(""); err != nil {
			t.Error(err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add((&Record{Image: "fsverity-sha256:00"}).text())
	f.Add((&Record{Image: "fsverity-sha256:00", Outlines: objects.Digest{1}}).text())
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		if r, err := parseRecord(text); err == nil && string(r.text()) != string(text) {
			t.Errorf("%q becomes %q", text, r.text())
		}
	})
}
