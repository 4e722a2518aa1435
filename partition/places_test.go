package partition

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// stableSpec is a volume with some files, of which later ones should keep the places.
func stableSpec(t *testing.T, filesystem string, files int) Spec {
	t.Helper()
	b := tree.NewBuilder(&tree.Attr{Mode: 0o755})
	for i := range files {
		n := tree.NewFile("", &tree.Attr{Mode: 0o644}, tree.Text(strings.Repeat("x", 9000+i)))
		if err := b.Add(fmt.Sprint("/file", i), n, ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{
		Name: "p", Filesystem: filesystem, Tree: tr, SectorSize: 512, Stable: true, UUID: repro.SeedOf("x").UUID("u"), Scratch: t.TempDir(),
	}
}

// Volumes that keep places have the size of the one before, and say what stayed; the others keep nothing, and say nothing.
func TestPlaces(t *testing.T) {
	keeping := map[string]bool{"ext4": true, "fat": true}
	for _, name := range []string{"ext4", "fat", "erofs"} {
		s := stableSpec(t, name, 100)
		first, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, first.Size())
		if err := extent.ReadAt(first, b, 0); err != nil {
			t.Fatal(err)
		}
		if k := KeptOf(first); k != nil {
			t.Errorf("%s: the first one keeps %+v", name, k)
		}
		next := stableSpec(t, name, 110)
		next.Earlier = Named(name).Places(bytes.NewReader(b), int64(len(b)))
		second, err := New(next)
		if err != nil {
			t.Fatal(err)
		}
		k := KeptOf(second)
		switch {
		case !keeping[name] && (k != nil || next.Earlier != nil):
			t.Errorf("%s keeps %+v", name, k)
		case keeping[name] && (k == nil || k.Anew != "" || k.Stayed < 900_000 || k.Moved < 90_000 || k.Moved > 200_000 || second.Size() != first.Size()):
			t.Errorf("%s: %d bytes after %d, %+v", name, second.Size(), first.Size(), k)
		}
		next.Earlier = Named(name).Places(bytes.NewReader(make([]byte, units.MiB)), units.MiB)
		if bad, err := New(next); err != nil || keeping[name] && !strings.HasPrefix(KeptOf(bad).Anew, "read ") {
			t.Errorf("%s: after zeros %+v, %v", name, KeptOf(bad), err)
		}
	}
}

// Room for later changes is only in a volume whose size is not given.
func TestSpare(t *testing.T) {
	for _, name := range []string{"ext4", "fat"} {
		s := stableSpec(t, name, 100)
		roomy, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		s.Stable = false
		exact, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		if more := roomy.Size() - exact.Size(); more < leastSpare || more > 2*leastSpare {
			t.Errorf("%s: %d bytes more", name, more)
		}
		s.Stable, s.Size = true, exact.Size()
		if given, err := New(s); err != nil || given.Size() != exact.Size() {
			t.Errorf("%s: a size that is given: %v", name, err)
		}
	}
}
