package ext4

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

// named returns empty files with these names.
func named(names []string) (files []*tree.Node) {
	for _, n := range names {
		files = append(files, tree.NewFile(n, plain, tree.Text("")))
	}
	return files
}

// longNames returns distinct names of length bytes. Their records take 8 bytes more, rounded up to a multiple of 4.
func longNames(count, length int) (names []string) {
	for i := range count {
		names = append(names, fmt.Sprintf("%0*d", length, i))
	}
	return names
}

// A directory stays linear as long as its names fit into one block, and is indexed from the next name on.
func TestDirectoryOfOneBlock(t *testing.T) {
	for _, c := range []struct {
		features string
		full     int // names of 20 bytes, records of 28, beside the two of 12 bytes
	}{{"", (4096 - 12 - 24) / 28}, {"^metadata_csum", (4096 - 24) / 28}, {"^dir_index", (4096 - 12 - 24) / 28}} {
		for _, more := range []int{-1, 0, 1} {
			tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, named(longNames(c.full+more, 20)))})
			o := testOptions()
			o.Features = strings.Fields(c.features)
			p := plan(t, tr, o)
			d := p.dir(int32(tr.Find("/d").ID()))
			if several := d.blocks > 1; several != (more > 0) || d.indexed() != (more > 0 && c.features != "^dir_index") {
				t.Errorf("%s: %d names take %d blocks, indexed %v", c.features, c.full+more, d.blocks, d.indexed())
			}
			image := checked(t, p)
			if d.indexed() {
				checkHtree(t, image, "/d", d)
			}
		}
	}
}

// checkHtree compares the index as debugfs dumps it.
func checkHtree(t *testing.T, image, path string, d *dir) {
	t.Helper()
	out := debugfs(t, image, "htree_dump "+path)
	leaves := strings.Count(out, "Reading directory block")
	if leaves != len(d.leaves.first) || strings.Contains(out, "orrupt") {
		t.Errorf("%s: %d leaves; want %d\n%.3000s", path, leaves, len(d.leaves.first), out)
	}
	indirect := regexp.MustCompile(`Indirect levels: (\d+)`).FindStringSubmatch(out)
	if want := min(d.leaves.nodes, 1); indirect == nil || indirect[1] != strconv.FormatInt(want, 10) {
		t.Errorf("%s: levels %q, want %d", path, indirect, want)
	}
}

// The index gets its second level when the root is full: 123 leaves with blocks of 1 KiB.
func TestIndexDepth(t *testing.T) {
	t.Parallel()
	for _, names := range []int{4 * 100, 4 * 122, 4 * 123, 4*123 + 1, 4 * 123 * 126} {
		tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, named(longNames(names, 240)))}) // four records of 248 a leaf
		o := testOptions()
		o.BlockSize = 1024
		p := plan(t, tr, o)
		d := p.dir(int32(tr.Find("/d").ID()))
		leaves := (names + 3) / 4
		if two := leaves > 123; len(d.leaves.first) != leaves || (d.leaves.nodes > 0) != two {
			t.Errorf("%d names: %d leaves, %d nodes", names, len(d.leaves.first), d.leaves.nodes)
		}
		checkHtree(t, checked(t, p), "/d", d)
	}
	if slow() {
		tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, named(longNames(1_000_000, 20)))})
		checked(t, plan(t, tr, testOptions()))
	}
	tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, named(longNames(4*123*126+1, 240)))})
	o := testOptions()
	o.BlockSize = 1024
	if _, err := New(tr, o); err == nil || !strings.Contains(err.Error(), "/d: directory with 61993 entries needs 15499 blocks") {
		t.Errorf("one leaf too many: %v", err)
	}
}

// hashOracle asks debugfs for the hashes of names.
func hashOracle(t tb, seed, name string) dirHash {
	out := tool(t, "debugfs", "-R", fmt.Sprintf("dx_hash -h half_md4 -s %s %s", seed, name))
	m := regexp.MustCompile(`is (0x[0-9a-f]+) \(minor (0x[0-9a-f]+)\)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("debugfs says %q", out)
	}
	major, _ := strconv.ParseUint(m[1], 0, 32)
	minor, _ := strconv.ParseUint(m[2], 0, 32)
	return dirHash{uint32(major), uint32(minor)}
}

func TestHash(t *testing.T) {
	hosttest.Need(t, "debugfs")
	o := testOptions()
	h := newHasher(o.HashSeed)
	hosttest.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9._+][a-zA-Z0-9._+-]{0,254}`).Draw(t, "name")
		if got, want := h.hash(name), hashOracle(t, o.HashSeed.String(), name); got != want {
			t.Errorf("hash of %q is %x; want %x", name, got, want)
		}
	})
	if newHasher([16]byte{}) != md4Start {
		t.Error("a seed of zeros is not the default")
	}
}

// Names with the same hash that fall on two leaves: the second leaf's hash says that it goes on.
func TestCollisionAcrossLeaves(t *testing.T) {
	t.Parallel()
	o := testOptions()
	h := newHasher(o.HashSeed)
	const perLeaf = 4084 / 16
	byHash := map[uint32][]string{}
	var names []string
	for i := range 150_000 {
		n := fmt.Sprintf("%08d", i)
		m := h.hash(n).major
		byHash[m] = append(byHash[m], n)
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { return int(h.hash(a).major>>1) - int(h.hash(b).major>>1) })
	for i := perLeaf; i < len(names); i++ {
		same := byHash[h.hash(names[i]).major]
		if len(same) < 2 {
			continue
		}
		k := i // the first of those with this hash
		for h.hash(names[k-1]).major == h.hash(names[i]).major {
			k--
		}
		chosen := append(slices.Clone(names[k-perLeaf+1:k]), names[k:k+500]...) // fills a leaf but for one name
		tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, named(chosen))})
		p := plan(t, tr, o)
		d := p.dir(int32(tr.Find("/d").ID()))
		if p.leafHash(d, 1)&1 != 1 {
			t.Errorf("leaf 1 begins with hash %x, without the mark", p.leafHash(d, 1))
		}
		compareMounted(t, mounted(t, checked(t, p)), tr)
		return
	}
	t.Fatal("no two names with the same hash")
}

// Over 64,998 subdirectories a directory's link count says 1; without dir_nlink that is refused.
func TestManySubdirectories(t *testing.T) {
	t.Parallel()
	for _, count := range []int{maxLinks - 2, maxLinks - 1} {
		var dirs []*tree.Node
		for i := range count {
			dirs = append(dirs, tree.NewDir(strconv.Itoa(i), plain, nil))
		}
		tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, dirs)})
		o := testOptions()
		o.BlockSize = 1024
		p := plan(t, tr, o)
		image := checked(t, p)
		want := map[bool]string{true: "Links: 65000 ", false: "Links: 1 "}[count == maxLinks-2]
		if out := debugfs(t, image, "stat /d"); !strings.Contains(out, want) {
			t.Errorf("%d subdirectories: %s; want %s", count, regexp.MustCompile("Links: .*").FindString(out), want)
		}
		o.Features = []string{"^dir_nlink"}
		if _, err := New(tr, o); (err == nil) != (count == maxLinks-2) {
			t.Errorf("%d subdirectories without dir_nlink: %v", count, err)
		}
	}
}

// 65,000 names of a file are allowed.
func TestManyLinks(t *testing.T) {
	for _, count := range []int{maxLinks, maxLinks + 1} {
		f := file(1)
		nodes := []*tree.Node{}
		for i := range count - 1 {
			nodes = append(nodes, tree.NewLink(strconv.Itoa(i), f))
		}
		tr := build(t, map[string]*tree.Node{"/d": tree.NewDir("", plain, nodes), "/file": f})
		p, err := New(tr, testOptions())
		if count > maxLinks {
			if err == nil || !strings.Contains(err.Error(), "is name 65001 of /file, 65000 are allowed") {
				t.Errorf("%d names: %v", count, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if out := debugfs(t, checked(t, p), "stat /file"); !strings.Contains(out, "Links: 65000 ") {
			t.Errorf("%d names:\n%s", count, out)
		}
	}
}
