package ext4

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"imprint/internal/fault"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func digestOf(t tb, b tree.Blob) string {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, b.Size())); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// describe lists a tree: a line for each path, with all that a file system keeps. lost+found is left out unless the tree has things in it.
func describe(t tb, tr *tree.Tree, attrs bool) []string {
	t.Helper()
	first := map[*tree.Node]string{}
	var lines []string
	for path, n := range tr.Walk() {
		if n = n.Inode(); path == "/lost+found" && len(n.Children()) == 0 {
			continue
		}
		if first[n] == "" {
			first[n] = path
		}
		line := fmt.Sprintf("%q is %q, a %v: %d %q %v", path, first[n], n.Kind(), n.Size(), n.Target(), n.Device())
		if a := n.Attr; attrs {
			xattrs := slices.SortedFunc(slices.Values(a.Xattrs), func(x, y tree.Xattr) int { return strings.Compare(x.Name, y.Name) })
			line += fmt.Sprintf(" %o %d:%d %v %q", a.Mode, a.UID, a.GID, a.Mtime, xattrs)
		}
		if n.Kind() == tree.File {
			line += " " + digestOf(t, n.Blob())
		}
		lines = append(lines, line)
	}
	return lines
}

// sameTree compares what was read with what was planned.
func sameTree(t tb, want, got *tree.Tree, attrs bool) {
	t.Helper()
	if a, b := describe(t, want, attrs), describe(t, got, attrs); !slices.Equal(a, b) {
		t.Fatalf("-planned +read:\n%.5000s", cmp.Diff(a, b))
	}
}

// faults returns the faults that Check reports.
func faults(v *Volume) (all []string) {
	v.Check(func(f fault.Fault) { all = append(all, f.String()) })
	return all
}

func readBack(t tb, p *Plan) *Volume {
	t.Helper()
	v, err := Read(partitiontest.Image(p), p.Size())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A file system of any tree with any features is read as it was laid out, and has no fault.
func TestReadRandom(t *testing.T) {
	t.Parallel()
	hosttest.Check(t, func(t *rapid.T) {
		tr, o := drawTree(t), drawOptions(t)
		o.Free /= 10
		p := plan(t, tr, o)
		v := readBack(t, p)
		sameTree(t, tr, v.Tree, true)
		if found := faults(v); found != nil {
			t.Fatalf("%q: %.5000s", o.Features, strings.Join(found, "\n"))
		}
		want, got := p.Summary(), v.Summary
		slices.Sort(want.Features)
		slices.Sort(got.Features)
		if v.Label != o.Label || v.UUID != o.UUID || v.Epoch != o.Epoch || v.Size != p.Size() || v.NeedsRecovery || !cmp.Equal(want, got) {
			t.Fatalf("%+v was read as %+v", want, v)
		}
	})
}

func TestReadEverything(t *testing.T) {
	t.Parallel()
	for _, blockSize := range []int64{1024, 2048, 4096} {
		for _, features := range []string{"", "^metadata_csum", "^64bit ^metadata_csum ^flex_bg ^dir_index"} {
			tr, o := everything(t, blockSize), testOptions()
			o.BlockSize, o.Features = blockSize, strings.Fields(features)
			v := readBack(t, plan(t, tr, o))
			sameTree(t, tr, v.Tree, true)
			if found := faults(v); found != nil {
				t.Errorf("%s\n", strings.Join(found, "\n"))
			}
		}
	}
}

// The data of a sparse file that was read are its blocks with data.
func TestReadHoles(t *testing.T) {
	hole := tree.NewFile("", plain, &holey{size: 1 << 40, step: 1 << 39, count: 1})
	tr := build(t, map[string]*tree.Node{"/f": fragments(2000, 1024), "/hole": hole, "/full": file(1 << 20)})
	o := testOptions()
	o.BlockSize = 1024
	v := readBack(t, plan(t, tr, o))
	for path, want := range map[string]int{"/f": 2000, "/hole": 2, "/full": 1} {
		b := v.Tree.Find(path).Blob()
		if got := len(tree.DataOf(b)); got != want {
			t.Errorf("%s has %d ranges of data, not %d", path, got, want)
		}
		if b != v.Tree.Find(path).Blob() {
			t.Errorf("blob of %s is not equal to itself", path)
		}
	}
	if _, ok := v.Tree.Find("/full").Blob().(tree.SparseBlob); ok {
		t.Error("a file without holes is sparse")
	}
	if got, want := digestOf(t, v.Tree.Find("/f").Blob()), digestOf(t, tr.Find("/f").Blob()); got != want {
		t.Error("a file of 2000 extents differs")
	}
}
