package closure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// memory is a store in memory.
type memory map[Path]*Info

func (m memory) String() string { return "memory" }

func (m memory) Info(_ context.Context, p Path) (*Info, error) {
	if info := m[p]; info != nil {
		return info, nil
	}
	return nil, fmt.Errorf("%s: %w", p, ErrNotFound)
}

func (m memory) Item(_ context.Context, p Path) (*tree.Node, error) {
	if strings.HasSuffix(p.String(), "unreadable") {
		return nil, errors.New("unreadable")
	}
	return tree.NewFile(p.Base(), canonicalFile, tree.Text(p.String())), nil
}

// named returns a store path with a name.
func named(word string) Path { return Path{"/nix/store/" + digits + "-" + word} }

// graph returns a store of lines "item: references".
func graph(lines ...string) memory {
	m := memory{}
	for _, l := range lines {
		name, rest, _ := strings.Cut(l, ":")
		info := &Info{Path: named(name), NARSize: 1}
		for r := range strings.FieldsSeq(rest) {
			info.References = append(info.References, named(r))
		}
		m[info.Path] = info
	}
	return m
}

func order(c *Closure) string {
	var list []string
	for _, i := range c.Items {
		list = append(list, i.Info.Path.Name())
	}
	return strings.Join(list, " ")
}

func TestCompute(t *testing.T) {
	first := graph("system: a b system", "b: c")
	second := graph("a: c", "b: never", "c:", "other:")
	c, err := Compute(t.Context(), []Store{first, second}, []Path{named("system"), named("other"), named("system")})
	if err != nil {
		t.Fatal(err)
	}
	if order(c) != "other c a b system" || len(c.Roots) != 2 || len(c.Items) != 5 {
		t.Errorf("order %q, %d roots, %d items", order(c), len(c.Roots), len(c.Items))
	}
}

func TestComputeReportsAllMissing(t *testing.T) {
	s := graph("system: a b lost", "a: lost gone", "b: lost", "c: lost")
	_, err := Compute(t.Context(), []Store{s, s}, []Path{named("system"), named("c"), named("root")})
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Items) != 3 {
		t.Fatalf("got %v", err)
	}
	want := strings.NewReplacer("@", "/nix/store/"+digits+"-").Replace(`@gone: not valid in memory, nor in memory (referred to by @a)
@lost: not valid in memory, nor in memory (referred to by @a, @b, @c and 1 more)
@root: not valid in memory, nor in memory (named as a root)`)
	if err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, err := Compute(t.Context(), nil, []Path{named("x")}); !says(err, "there is no store") {
		t.Errorf("without a store: %v", err)
	}
}

// A long list is cut, and says how much it leaves out.
func TestMissingIsCut(t *testing.T) {
	many := "root:"
	for n := range 20_000 {
		many += fmt.Sprintf(" lost-%d", n)
	}
	_, err := Compute(t.Context(), slices.Repeat([]Store{graph(many)}, 25), []Path{named("root")})
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Items) != 20_000 {
		t.Fatalf("got %.200v", err)
	}
	text := err.Error()
	if strings.Count(text, "\n") != 20 || !strings.HasSuffix(text, "\nand 19980 more") || !strings.Contains(text, "nor in memory and 5 more (") {
		t.Errorf("got %d bytes in %d lines, at the end %q", len(text), strings.Count(text, "\n"), text[max(0, len(text)-100):])
	}
}

// A chain of references may be as long as a store is large.
func TestComputeLongChain(t *testing.T) {
	const length = 50_000
	s := memory{}
	for n := range length {
		s[named(fmt.Sprint(n))] = &Info{Path: named(fmt.Sprint(n)), NARSize: 1, References: []Path{named(fmt.Sprint(n + 1))}}
	}
	end := named(fmt.Sprint(length))
	s[end] = &Info{Path: end, NARSize: 1}
	c, err := Compute(t.Context(), []Store{s}, []Path{named("0")})
	if err != nil || len(c.Items) != length+1 || c.Items[0].Info.Path != end {
		t.Errorf("%v, %v", c, err)
	}
	s[end].References = []Path{named("0")}
	_, err = Compute(t.Context(), []Store{s}, []Path{named("0")})
	if want := fmt.Sprintf("%s -> %d more -> %s", named("9"), length-9, named("0")); !says(err, want) {
		t.Errorf("got %.300v, want %q", err, want)
	}
}

func TestComputeRefusesCircles(t *testing.T) {
	_, err := Compute(t.Context(), []Store{graph("root: a", "a: b", "b: c b", "c: a")}, []Path{named("root")})
	want := fmt.Sprintf("cycle of references: %s -> %s -> %s -> %s", named("a"), named("b"), named("c"), named("a"))
	var wrong *InvalidError
	if !says(err, want) || !errors.As(err, &wrong) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// broken is a store that cannot be read.
type broken struct{ memory }

func (broken) Info(context.Context, Path) (*Info, error) { return nil, errors.New("disk on fire") }

func TestComputeReportsBrokenStores(t *testing.T) {
	if _, err := Compute(t.Context(), []Store{broken{}}, []Path{named("a")}); !says(err, "disk on fire") || errors.As(err, new(*InvalidError)) {
		t.Errorf("got %v", err)
	}
}

// readItems returns the content of all items, or the error of the first that cannot be read.
func readItems(ctx context.Context, c *Closure) (list []TargetItem, err error) {
	for _, item := range c.Items {
		n, err := item.Store.Item(ctx, item.Info.Path)
		if err != nil {
			return nil, err
		}
		list = append(list, TargetItem{item.Info, n})
	}
	return list, nil
}

// The closure of any graph without cycles has each reachable item once, after the items that it refers to, in an order that depends neither
// on the order of the roots nor on which store has which item.
func TestComputeOrder(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "items")
		shuffled := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		})).Draw(t, "names")
		one, two, three := memory{}, memory{}, memory{}
		for i := range n {
			info := &Info{Path: named(fmt.Sprint(shuffled[i])), NARSize: 1}
			for _, r := range rapid.SliceOfDistinct(rapid.IntRange(0, i), rapid.ID).Draw(t, "references") {
				info.References = append(info.References, named(fmt.Sprint(shuffled[r])))
			}
			slices.SortFunc(info.References, Path.Compare)
			one[info.Path] = info
			rapid.SampledFrom([]memory{two, three}).Draw(t, "store")[info.Path] = info
		}
		roots := []Path{named(fmt.Sprint(shuffled[n-1])), named(fmt.Sprint(shuffled[n/2]))}
		c, err := Compute(context.Background(), []Store{one}, roots)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Compute(context.Background(), []Store{three, two}, []Path{roots[1], roots[0]})
		if err != nil || order(c) != order(d) {
			t.Fatalf("%q, then %q, %v", order(c), order(d), err)
		}
		checkOrder(t, c, reachable(one, roots))
	})
}

func reachable(m memory, todo []Path) map[Path]bool {
	seen := map[Path]bool{}
	for len(todo) > 0 {
		p := todo[0]
		if todo = todo[1:]; !seen[p] {
			seen[p] = true
			todo = append(todo, m[p].References...)
		}
	}
	return seen
}

func checkOrder(t *rapid.T, c *Closure, want map[Path]bool) {
	if len(c.Items) != len(want) {
		t.Fatalf("%d items, %d are reachable", len(c.Items), len(want))
	}
	before := map[Path]bool{}
	for _, i := range c.Items {
		before[i.Info.Path] = true
		for _, r := range i.Info.References {
			if !before[r] {
				t.Fatalf("%s comes before %s", i.Info.Path, r)
			}
		}
	}
}
