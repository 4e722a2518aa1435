package partitiontest

import (
	"testing"

	"imprint/internal/tree"
)

// sample is a tree of many kinds of files, which every engine can make.
func sample(t testing.TB) *tree.Tree {
	g := newGrove(t)
	manyFiles(g, 120)
	longDirectory(g, 80, 100)
	g.add("/large", tree.NewFile("", plain, random(5, 3<<20)))
	g.add("/holes", tree.NewFile("", plain, newSparse(1<<20, tree.Range{Off: 500_000, Len: 100_000})))
	g.dir("/empty")
	return g.tree()
}

func (e Engine) smallest(t testing.TB, tr *tree.Tree) int64 {
	t.Helper()
	p, err := e.Plan(tr, defaults)
	if err != nil {
		t.Fatal(err)
	}
	return p.Size()
}

// testExactFit makes the tree in the number of bytes that the engine finds, and in one grain less, which it must refuse.
func testExactFit(t *testing.T, e Engine) {
	for name, tr := range map[string]*tree.Tree{"sample": sample(t), "empty": newGrove(t).tree()} {
		t.Run(name, func(t *testing.T) {
			o := defaults
			o.Size = e.smallest(t, tr)
			e.roundTrip(t, tr, o)
			need := o.Size
			if o.Size -= e.Grain; o.Size == 0 {
				return // which would ask for the smallest size
			}
			_, err := e.Plan(tr, o)
			if err == nil {
				t.Fatalf("%d bytes were taken, %d are needed", o.Size, need)
			}
			if said, ok := e.TooSmall(err); !ok || said != need {
				t.Errorf("%d bytes: the error says that %d are needed, not %d: %v", o.Size, said, need, err)
			}
		})
	}
}

// testLarger makes the tree in more room than it needs, of sizes around those where structures change.
func testLarger(t *testing.T, e Engine) {
	tr := sample(t)
	least := e.smallest(t, tr)
	sizes := []int64{least + e.Grain, least + 7*e.Grain, 128<<20 - 4096, 128 << 20, 128<<20 + 4096, 129 << 20, 512 << 20}
	if Slow() {
		sizes = append(sizes, 600<<20+4096, 1<<30, 2<<30, 2<<30+16<<20, 5<<30)
	}
	for _, size := range sizes {
		if size < least {
			continue
		}
		o := defaults
		o.Size = size
		t.Logf("%d bytes", size)
		e.roundTrip(t, tr, o)
	}
}

// testFree checks that the file system counts as many free bytes as were asked for.
func testFree(t *testing.T, e Engine) {
	tr := sample(t)
	for _, free := range []int64{1, 1 << 20, 200 << 20} {
		o := defaults
		o.Free = free
		if got := e.roundTrip(t, tr, o); got.Free < free {
			t.Errorf("%d bytes are free, %d were asked for", got.Free, free)
		}
	}
}

// testSameBytes makes the same tree twice, at two places of two files.
func testSameBytes(t *testing.T, e Engine) {
	first := e.make(t, sample(t), defaults, before)
	second := e.make(t, sample(t), defaults, 1<<20)
	if first.Size != second.Size {
		t.Fatalf("sizes %d and %d", first.Size, second.Size)
	}
	SameBytes(t, first, second)
}
