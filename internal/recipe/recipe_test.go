package recipe

import (
	"bytes"
	"fmt"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/objects"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func digest(n byte) objects.Digest { return objects.Digest{n} }

// Parts that follow one another on the disk as they do in the content are one run, with the zeros between them.
func TestJoin(t *testing.T) {
	b := New(1 << 20)
	x, y := b.Content(Content{Digest: digest(1), Size: 20_000}), b.Content(Content{Digest: digest(2), Size: 5000})
	if again := b.Content(Content{Digest: digest(1), Size: 20_000}); again != x {
		t.Errorf("a content has the indexes %d and %d", x, again)
	}
	b.Add(Run{Off: 8192 + 8192, Len: 100, Content: x, At: 8192}) // after a hole of the file
	b.Add(Run{Off: 8192, Len: 5000, Content: x, At: 0})
	b.Add(Run{Off: 8192 + 12288, Len: 100, Content: x, At: 12288})
	b.Add(Run{Off: 40960, Len: 5000, Content: y, At: 0})
	b.Add(Run{Off: 49152, Len: 10, Content: x, At: 16384})
	r, err := b.Recipe()
	want := []Run{{8192, 12388, x, 0}, {40960, 5000, y, 0}, {49152, 10, x, 16384}}
	if d := cmp.Diff(want, r.Runs); err != nil || d != "" {
		t.Error(err, d)
	}
	if d := cmp.Diff([]tree.Range{{Off: 8192, Len: 12388}, {Off: 40960, Len: 5000}, {Off: 49152, Len: 10}}, r.Data()); d != "" {
		t.Error(d)
	}
}

func TestRefused(t *testing.T) {
	for what, runs := range map[string][]Run{
		"overlap":      {{0, 10, 0, 0}, {5, 10, 0, 0}},
		"off the disk": {{95, 10, 0, 0}},
		"overflow":     {{50, 1<<63 - 1, 0, 0}},
		"no content":   {{0, 10, 1, 0}},
		"off content":  {{0, 10, 0, 95}},
		"nothing":      {{0, 0, 0, 0}},
	} {
		b := New(100)
		b.Content(Content{Size: 100})
		for _, r := range runs {
			b.Add(r)
		}
		if _, err := b.Recipe(); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// random returns a disk of few contents, and those.
func random(t *rapid.T, size int64) (*Recipe, []tree.Blob) {
	b := New(size)
	var blobs []tree.Blob
	for i := range 3 {
		text := bytes.Repeat([]byte{byte(i + 1)}, 64)
		for k := range text {
			text[k] += byte(k)
		}
		c := Content{Digest: digest(byte(i)), Size: 64}
		if i > 0 {
			c.Key, c.Meta = objects.Text(c.Digest), i > 1
		}
		b.Content(c)
		blobs = append(blobs, tree.Text(string(text)))
	}
	for off := int64(0); off < size; {
		n := rapid.Int64Range(1, 20).Draw(t, "length")
		n = min(n, size-off)
		if rapid.Bool().Draw(t, "data") {
			b.Add(Run{off, n, rapid.IntRange(0, 2).Draw(t, "content"), rapid.Int64Range(0, 64-n).Draw(t, "at")})
		}
		off += n
	}
	r, err := b.Recipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, blobs
}

func whole(t *rapid.T, r *Recipe, blobs []tree.Blob, size int64) []byte {
	p := make([]byte, size)
	if err := extent.ReadAt(r.Extents(blobs), p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

// Two disks have the same bytes outside of their difference, and the text of a disk is the disk.
func TestDifference(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		old, blobs := random(t, rapid.Int64Range(1, 200).Draw(t, "old"))
		now, _ := random(t, rapid.Int64Range(1, 200).Draw(t, "new"))
		size := max(old.Size, now.Size)
		a, b := whole(t, old, blobs, size), whole(t, now, blobs, size)
		for _, r := range now.Difference(old) {
			copy(a[r.Off:r.End()], b[r.Off:r.End()])
		}
		if !bytes.Equal(a[:now.Size], b[:now.Size]) {
			t.Errorf("the difference %v is too small", now.Difference(old))
		}
		if list := now.Difference(now); len(list) != 0 {
			t.Errorf("a disk differs from itself in %v", list)
		}
		again, err := Parse(now.Text())
		if d := cmp.Diff(now, again); err != nil || d != "" {
			t.Error(err, d)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(version + "size 10\n"))
	f.Add(fmt.Appendf(nil, "%ssize 100\nstructure %064x 50 %064x\nrun 0 50 0 0\nrun 60 5 0 10\n", version, 1, 2))
	f.Add(fmt.Appendf(nil, "%ssize 100\ncontent %064x 50 %064x\nrun 0 50 0 0\n", version, 1, 2))
	f.Add([]byte("imprint recipe 1\nsize -1\n"))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Text(), text) {
			t.Errorf("%q becomes %q", text, r.Text())
		}
		r.Difference(&Recipe{Size: 1})
	})
}

// What lies between two runs of a content is not lost when they are joined, in whatever order runs are added.
func TestBetween(t *testing.T) {
	runs := []Run{{0, 512, 0, 0}, {4096, 512, 0, 4096}, {512, 512, 1, 0}}
	for range len(runs) {
		b := New(1 << 20)
		b.Content(Content{Digest: digest(1), Size: 4608})
		b.Content(Content{Digest: digest(2), Size: 512})
		for _, r := range runs {
			b.Add(r)
		}
		r, err := b.Recipe()
		if want := []Run{{0, 512, 0, 0}, {512, 512, 1, 0}, {4096, 512, 0, 4096}}; err != nil || !cmp.Equal(want, r.Runs) {
			t.Errorf("%v, %v", r, err)
		}
		runs = append(runs[1:], runs[0])
	}
}
