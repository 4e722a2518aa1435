package extent

import (
	"bytes"
	"cmp"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

// drawRegion draws a region of size bytes, whose extents are texts, or regions at most depth levels deep, whole, in slices or sparse.
func drawRegion(t *rapid.T, size int64, depth int) List {
	var l List
	for off := rapid.Int64Range(0, size/4).Draw(t, "off"); off < size; {
		n := rapid.Int64Range(1, size-off).Draw(t, "len")
		at := rapid.Int64Range(0, 5).Draw(t, "at")
		l = append(l, Extent{Off: off, Len: n, At: at, Blob: drawBlob(t, at+n+rapid.Int64Range(0, 5).Draw(t, "rest"), depth), Meta: rapid.Bool().Draw(t, "meta")})
		off += n + rapid.Int64Range(0, 1).Draw(t, "apart")*rapid.Int64Range(0, 20).Draw(t, "gap")
	}
	return l
}

func drawBlob(t *rapid.T, size int64, depth int) tree.Blob {
	if depth == 0 || !rapid.Bool().Draw(t, "nested") {
		return tree.Text(strings.Repeat(rapid.StringOfN(rapid.RuneFrom([]rune("abcdefgh")), 7, 7, 7).Draw(t, "text"), int(size)/7+1)[:size])
	}
	cut := rapid.Int64Range(0, 9).Draw(t, "front")
	b := NewBlob(drawRegion(t, size+cut, depth-1), size+cut)
	if rapid.Bool().Draw(t, "sparse") {
		b = tree.Sparse(b, []tree.Range{{Off: 0, Len: size + cut}})
	}
	return tree.Slice(b, cut, size)
}

// A flattened region has the bytes of the nested one wherever it is read, in extents that are in order, apart, and of no region.
func TestFlatten(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 300).Draw(t, "size")
		src := drawRegion(t, size, 3)
		flat := Flatten(src)
		for range 5 {
			off := rapid.Int64Range(0, size-1).Draw(t, "off")
			want := make([]byte, rapid.Int64Range(0, size-off).Draw(t, "len"))
			got := bytes.Repeat([]byte{0xff}, len(want))
			if err := ReadAt(src, want, off); err != nil {
				t.Fatal(err)
			}
			if err := ReadAt(flat, got, off); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes at %d: %q, nested %q", len(want), off, got, want)
			}
			checkOrder(t, flat, off, size)
		}
	})
}

// checkOrder checks that the extents from some offset on are the last of all of them.
func checkOrder(t *rapid.T, flat Source, from, size int64) {
	all := slices.Collect(flat.Extents(0))
	if err := List(slices.Clone(all)).Sort(size); err != nil || !slices.IsSortedFunc(all, func(a, b Extent) int { return cmp.Compare(a.Off, b.Off) }) {
		t.Fatalf("out of order: %v, %v", all, err)
	}
	first := slices.IndexFunc(all, func(e Extent) bool { return e.End() > from })
	for e := range flat.Extents(from) {
		if src, _ := SourceOf(e.Blob); src != nil || first < 0 || all[first] != e {
			t.Fatalf("from %d on: unexpected extent at %d", from, e.Off)
		}
		first++
	}
	if first >= 0 && first != len(all) {
		t.Fatalf("from %d on: %d extents are missing", from, len(all)-first)
	}
}

// The blob of a region reads as the region does, in any order, and its holes are zeros.
func TestNestedBlob(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 300).Draw(t, "size")
		src := drawRegion(t, size+20, 2)
		want := make([]byte, size)
		if err := ReadAt(src, want, 0); err != nil {
			t.Fatal(err)
		}
		r, err := NewBlob(src, size).Open()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for range 8 {
			off := rapid.Int64Range(0, size+3).Draw(t, "off")
			p := bytes.Repeat([]byte{0xff}, rapid.IntRange(0, 100).Draw(t, "len"))
			n, err := r.ReadAt(p, off)
			part := want[min(off, size):min(off+int64(len(p)), size)]
			if !bytes.Equal(p[:n], part) || n < len(p) && err != io.EOF || n == len(p) && err != nil {
				t.Fatalf("%d bytes at %d: %q, %v; want %q", len(p), off, p[:n], err, part)
			}
		}
	})
}

func TestHolesOfNestedBlob(t *testing.T) {
	x := tree.Text(strings.Repeat("x", 1000))
	src := List{
		{Off: 100, Len: 10, Blob: x}, {Off: 60_000, Len: 1000, Blob: x}, {Off: 65_000, Len: 1000, Blob: x}, // in steps 0 and 1
		{Off: 3 * holeStep, Len: 1, Blob: x}, {Off: 5*holeStep - 1, Len: 1, Blob: x}, // in steps 3 and 4
		{Off: 8 * holeStep, Len: 500, Blob: x}, {Off: 9 * holeStep, Len: 1000, Blob: x}, // the last one after the end
	}
	want := []tree.Range{{Off: 0, Len: 2 * holeStep}, {Off: 3 * holeStep, Len: 2 * holeStep}, {Off: 8 * holeStep, Len: 300}}
	if got := tree.DataOf(NewBlob(src, 8*holeStep+300)); !slices.Equal(got, want) {
		t.Errorf("data %v, want %v", got, want)
	}
	if got := tree.DataOf(NewBlob(List{}, 1<<40)); len(got) != 0 {
		t.Errorf("data %v of an empty region", got)
	}
}

// counting is a source that counts the extents that are asked of it.
type counting struct {
	Source
	yielded int
}

func (c *counting) Extents(from int64) iter.Seq[Extent] {
	return func(yield func(Extent) bool) {
		for e := range c.Source.Extents(from) {
			c.yielded++
			if !yield(e) {
				return
			}
		}
	}
}

// Reading a few bytes at the end of a large region asks no level for the extents before them.
func TestFlattenSkips(t *testing.T) {
	var l List
	for i := range int64(10_000) {
		l = append(l, Extent{Off: 10 * i, Len: 10, Blob: tree.Text("0123456789")})
	}
	inner := &counting{Source: l}
	middle := &counting{Source: List{{Off: 7, Len: 100_000, Blob: NewBlob(inner, 100_000)}}}
	outer := List{{Off: 1 << 20, Len: 100_007, Blob: NewBlob(middle, 100_007)}}
	p := make([]byte, 25)
	if err := ReadAt(Flatten(outer), p, 1<<20+7+99_000); err != nil || string(p) != "0123456789012345678901234" {
		t.Errorf("%q, %v", p, err)
	}
	if inner.yielded > 4 || middle.yielded > 1 {
		t.Errorf("%d and %d extents were asked for", inner.yielded, middle.yielded)
	}
}

// The place of a file of the inner region in the outer one is that of its blob in the flattened outer region.
func TestThrough(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 300).Draw(t, "size")
		src := drawRegion(t, size, 0)
		var file []Extent // every extent of src is one of a file of its own, or of this one
		b := &claim{Blob: tree.Text(strings.Repeat("f", 1000))}
		for i := range src {
			if rapid.Bool().Draw(t, "file") {
				src[i].Blob = b
				file = append(file, src[i])
			}
		}
		image := NewBlob(src, size)
		var outer List
		end := int64(0)
		for at := int64(0); at < size; {
			n := rapid.Int64Range(1, size-at).Draw(t, "section")
			end += rapid.Int64Range(0, 10).Draw(t, "gap")
			outer = append(outer, Extent{Off: end, Len: n, Blob: image, At: at})
			end += n
			at += n + rapid.Int64Range(0, 3).Draw(t, "left out")
		}
		var want []Extent
		for e := range Flatten(outer).Extents(0) {
			if e.Blob == tree.Blob(b) {
				want = append(want, e)
			}
		}
		if got := Through(outer, file); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

type claim struct{ tree.Blob }

// opened counts how often a blob was opened, and how many readers are open.
type opened struct {
	tree.Blob
	mu          sync.Mutex
	times, open int
}

func (o *opened) add(times, open int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.times, o.open = o.times+times, o.open+open
}

func (o *opened) Open() (tree.Reader, error) {
	o.add(1, 1)
	r, err := o.Blob.Open()
	return &openedReader{r, o}, err
}

type openedReader struct {
	tree.Reader
	of *opened
}

func (r *openedReader) Close() error {
	r.of.add(0, -1)
	return r.Reader.Close()
}

// A blob that lies in many parts of a region is opened once, and in the end all readers are closed, even if several goroutines read.
func TestBlobsAreOpenedOnce(t *testing.T) {
	o := &opened{Blob: tree.Text(strings.Repeat("x", 1000))}
	r, _ := NewBlob(List{{Len: 500, Blob: o}, {Off: 600, Len: 400, Blob: o, At: 600}}, 1000).Open()
	for off := int64(0); off < 1000; off += 10 {
		if _, err := r.ReadAt(make([]byte, 10), off); err != nil {
			t.Fatal(err)
		}
	}
	if o.times != 1 {
		t.Errorf("opened %d times", o.times)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				r.ReadAt(make([]byte, 100), 450)
			}
		})
	}
	all.Wait()
	if r.Close(); o.open != 0 {
		t.Errorf("%d are open", o.open)
	}
}
