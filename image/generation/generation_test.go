package generation_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure/outline"
	"imprint/image/generation"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/extent"
	"imprint/internal/objects"
	"imprint/internal/recipe"
	"imprint/internal/tree"
)

func open(t *testing.T) *objects.Store {
	t.Helper()
	s, err := objects.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prepare prepares the writing of the disk of a description, until the test ends.
func prepare(t *testing.T, w imagetest.World, text string) (*plan.Plan, *write.Prepared) {
	t.Helper()
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := write.Prepare(t.Context(), p, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(prepared.Discard)
	return p, prepared
}

// keep keeps the disk of a description, and compares what was kept with the disk that a build writes.
func keep(t *testing.T, w imagetest.World, s *objects.Store, text string, known ...*recipe.Recipe) *generation.Kept {
	t.Helper()
	p, prepared := prepare(t, w, text)
	at := generation.Earlier{Recipes: known}
	if !strings.Contains(text, "hard-link") {
		at.Outlines = outline.NewSet()
	}
	k, err := generation.Keep(t.Context(), prepared, s, nil, at)
	if err != nil {
		t.Fatal(err)
	}
	want, _, built := imagetest.Build(t, p, write.Options{})
	if got := read(t, s, k.Recipe); !bytes.Equal(got, want) {
		t.Errorf("the disk that is kept differs at byte %d", imagetest.FirstDifference(got, want))
	}
	o := &generation.Output{Contents: s, Recipe: k.Recipe}
	sums, err := o.Sums(t.Context())
	if err != nil || sums.Measure(k.Recipe.Size) != built.Digests.Image {
		t.Errorf("the digest is %s, not %s, %v", sums.Measure(k.Recipe.Size), built.Digests.Image, err)
	}
	return k
}

// read returns the bytes of a disk that is kept.
func read(t *testing.T, s *objects.Store, r *recipe.Recipe) []byte {
	t.Helper()
	var blobs []tree.Blob
	for _, c := range r.Contents {
		b, err := s.Get(c.Digest, c.Size, nil)
		if err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, b)
	}
	p := make([]byte, r.Size)
	if err := extent.ReadAt(r.Extents(blobs), p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

// noise returns bytes that do not repeat, with a hole in the middle.
func noise(seed, size int64) string {
	p := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(p)
	if size > 512<<10 {
		clear(p[128<<10 : 384<<10])
	}
	return string(p)
}

// items makes store items of several sizes, and returns their roots as TOML.
func items(w imagetest.World, changed int64) string {
	var roots []string
	for i := range int64(4) {
		seed := i
		if i == 2 {
			seed += changed
		}
		path := w.Item(fmt.Sprintf("item%d", i), nil, map[string]string{
			"bin/large": noise(seed, 600<<10+i), "bin/small": noise(seed+10, 100), "share/same": noise(7, 5000), "share/again": noise(7, 5000), "empty": "", "link": "-> bin/large",
		})
		roots = append(roots, fmt.Sprintf("%q", path))
	}
	return "[[closure]]\nname = \"all\"\nroots = [" + strings.Join(roots, ", ") + "]\n"
}

const partitionOf = "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = %q\nclosures = [\"all\"]\n[[partition.tree]]\nsource = \"files\"\ntarget = \"/files\"\n"

// All file systems share the contents of items and files, and what is known is not read again.
func TestShared(t *testing.T) {
	w, s := imagetest.New(t), open(t)
	closures := items(w, 0)
	for i := range 40 {
		w.File(fmt.Sprintf("files/%d", i), noise(int64(100+i), int64(1+i*i*100)))
	}
	first := keep(t, w, s, closures+fmt.Sprintf(partitionOf, "ext4"))
	if first.Reused != 0 || first.Read < 5 || first.Outlines.Len() != 4 {
		t.Errorf("at first %d contents are read, %d are there, and %d items have outlines", first.Read, first.Reused, first.Outlines.Len())
	}
	for _, filesystem := range []string{"erofs", "ext4"} {
		again := keep(t, w, s, closures+fmt.Sprintf(partitionOf, filesystem), first.Recipe)
		if again.Read != 0 || again.Reused != first.Read {
			t.Errorf("%s: %d contents are read, %d are there", filesystem, again.Read, again.Reused)
		}
	}
	hard := keep(t, w, s, "[store]\nhard-link = true\n"+closures+fmt.Sprintf(partitionOf, "ext4"), first.Recipe)
	if hard.Read == 0 || hard.Read > 4 {
		t.Errorf("with hard links %d contents are read", hard.Read)
	}
	if err := s.Remove(first.Recipe.Contents[0].Digest); err != nil {
		t.Fatal(err)
	}
	if lost := keep(t, w, s, closures+fmt.Sprintf(partitionOf, "ext4"), first.Recipe); lost.Read != 1 {
		t.Errorf("one content is gone, and %d are read", lost.Read)
	}
}

// One item that differs is read, and no other one.
func TestOneChanged(t *testing.T) {
	a, b, s := imagetest.New(t), imagetest.New(t), open(t)
	a.File("files/x", "x")
	b.File("files/x", "x")
	first := keep(t, a, s, items(a, 0)+fmt.Sprintf(partitionOf, "ext4"))
	second := keep(t, b, s, items(b, 50)+fmt.Sprintf(partitionOf, "ext4"), first.Recipe)
	if second.Read != 1 || second.Outlines.Len() != 1 { // those that were not verified now have an outline only if they had one before
		t.Errorf("%d contents are read, and %d items have outlines", second.Read, second.Outlines.Len())
	}
}

// An item that does not have its hash is not kept, unless it is known and not read.
func TestMismatch(t *testing.T) {
	w, s := imagetest.New(t), open(t)
	w.File("files/x", "x")
	text := items(w, 0) + fmt.Sprintf(partitionOf, "ext4")
	_, prepared := prepare(t, w, text)
	name := w.Dir + "/store" + w.Path("item1") + "/bin/small"
	if err := os.WriteFile(name, []byte(noise(99, 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := generation.Keep(t.Context(), prepared, s, nil, generation.Earlier{}); !errors.Is(err, write.ErrMismatch) {
		t.Errorf("got %v", err)
	}
}
