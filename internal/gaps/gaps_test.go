package gaps

import (
	"slices"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

func TestMerge(t *testing.T) {
	given := []Span{{7, 9}, {0, 2}, {2, 5}}
	if got, want := Merge(given), []Span{{0, 5}, {7, 9}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if given[0].From != 7 {
		t.Error("the argument has changed")
	}
}

func TestGaps(t *testing.T) {
	g := New([]Span{{2, 4}, {7, 10}, {11, 20}}, 0, 30)
	if i, n := g.Longest(); i != 1 || n != 3 {
		t.Errorf("the longest is gap %d with %d", i, n)
	}
	if i, ok := g.First(3); !ok || g.Take(i, 2) != (Span{4, 6}) {
		t.Errorf("3 positions are in gap %d, %v", i, ok)
	}
	if i, ok := g.At(6); !ok || g.Gap(i).Len() != 1 {
		t.Errorf("gap %d begins at 6, %v", i, ok)
	}
	if _, ok := g.At(5); ok {
		t.Error("a gap begins at 5")
	}
	if i, ok := g.First(10); !ok || i != g.Last() {
		t.Errorf("10 positions are in gap %d, %v", i, ok)
	}
	if _, ok := g.First(11); ok {
		t.Error("there are 11 positions")
	}
	if i, n := New(nil, 2, 5).Longest(); i != 0 || n != 0 {
		t.Errorf("gap %d with %d comes before the last", i, n)
	}
}

// The first gap is that of a search one by one, nothing is given twice, and all is given in the end.
func TestGapsRandom(t *testing.T) {
	hosttest.Check(t, func(r *rapid.T) {
		const end = 200
		taken := [end]bool{}
		var used []Span
		for at := int64(0); at < end; {
			from := at + rapid.Int64Range(0, 20).Draw(r, "gap")
			to := min(end, from+rapid.Int64Range(1, 20).Draw(r, "used"))
			if from < to {
				used = append(used, Span{from, to})
			}
			for i := from; i < to; i++ {
				taken[i] = true
			}
			at = to
			if from >= end {
				break
			}
		}
		g := New(Merge(used), 0, end)
		for range 40 {
			n := rapid.Int64Range(1, 20).Draw(r, "n")
			want, wanted := 0, false
			for i := range g.list {
				if g.Gap(i).Len() >= n {
					want, wanted = i, true
					break
				}
			}
			i, ok := g.First(n)
			if ok != wanted || ok && i != want {
				r.Fatalf("gap %d, %v for %d, not %d, %v", i, ok, n, want, wanted)
			}
			if !ok {
				continue
			}
			for s := g.Take(i, n); s.From < s.To; s.From++ {
				if taken[s.From] {
					r.Fatalf("%d is given twice", s.From)
				}
				taken[s.From] = true
			}
		}
		for i := range g.list {
			for s := g.Take(i, g.Gap(i).Len()); s.From < s.To; s.From++ {
				taken[s.From] = true
			}
		}
		if i := slices.Index(taken[:], false); i >= 0 {
			r.Fatalf("%d is never given", i)
		}
	})
}
