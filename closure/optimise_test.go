package closure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/closure/nar"
	"imprint/internal/fault"
	"imprint/internal/tree"
)

// groups returns the paths that share an inode, for inodes with several, each group sorted and as one line.
func groups[K comparable](inodes map[string]K) []string {
	shared := map[K][]string{}
	for path, inode := range inodes {
		shared[inode] = append(shared[inode], path)
	}
	var list []string
	for _, paths := range shared {
		if slices.Sort(paths); len(paths) > 1 {
			list = append(list, strings.Join(paths, " "))
		}
	}
	slices.Sort(list)
	return list
}

func hostInodes(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	inodes := map[string]uint64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			inodes[strings.TrimPrefix(path, dir)] = info.Sys().(*syscall.Stat_t).Ino
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return inodes
}

func treeInodes(n *tree.Node) map[string]*tree.Node {
	inodes := map[string]*tree.Node{}
	for path, n := range tree.Walk("", n) {
		if n.Kind() != tree.Dir {
			inodes[path] = n.Inode()
		}
	}
	return inodes
}

// Nix links the same files under the same names as Optimise, and finds nothing to link in its result.
func TestOptimiseAsNix(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	target := &Target{Flavor: n.flavor, Items: n.compute(root), Epoch: 1}
	dir := filepath.Join(t.TempDir(), "image")
	t.Cleanup(func() { makeWritable(dir) })
	unpack(t, dir, install(t, target))
	if shared := groups(hostInodes(t, dir+n.flavor.StoreDir)); len(shared) > 0 {
		t.Fatalf("linked before: %q", shared)
	}
	n.at(dir).run("nix-store", "--optimise")
	nixs := groups(hostInodes(t, dir+n.flavor.StoreDir))

	target.HardLink, target.Workers = true, 2
	tr := install(t, target)
	ours := groups(treeInodes(tr.Find(n.flavor.StoreDir)))
	if d := cmp.Diff(nixs, ours); d != "" || len(ours) < 10 {
		t.Errorf("groups of links (Nix, then we):\n%s", d)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	t.Cleanup(func() { makeWritable(linked) })
	unpack(t, linked, tr)
	before := hostInodes(t, linked+n.flavor.StoreDir)
	n.at(linked).run("nix-store", "--optimise")
	if d := cmp.Diff(before, hostInodes(t, linked+n.flavor.StoreDir)); d != "" {
		t.Errorf("Nix had something left to do:\n%s", d)
	}
}

// equal returns an item of many equal files.
func equal(word string, n int) TargetItem {
	var files []*tree.Node
	for i := range n {
		files = append(files, tree.NewFile(fmt.Sprintf("f%03d", i), canonicalFile, tree.Text("equal")))
	}
	return TargetItem{&Info{Path: named(word)}, tree.NewDir(word, canonicalDir, files)}
}

func TestOptimiseStopsAtTheLimit(t *testing.T) {
	o := &optimiser{flavor: Nix, maxLinks: 7}
	list := []TargetItem{equal("b", 5), equal("a", 5)}
	if _, err := o.optimise(t.Context(), list, 2); err != nil {
		t.Fatal(err)
	}
	inodes := map[*tree.Node]int{}
	for _, link := range o.links {
		inodes[link.Inode()]++
	}
	for _, item := range list {
		for _, c := range item.Node.Children() {
			inodes[c.Inode()]++
		}
	}
	first := list[1].Node.Children()[0]
	if inodes[first] != 7 || len(inodes) != 5 || first.Kind() != tree.File {
		t.Errorf("the first file has %d names, %d files are left", inodes[first], len(inodes))
	}
}

// The limit is that of the kernel's ext4, when the temporary directory happens to be one.
func TestMaxLinksOnExt4(t *testing.T) {
	if os.Getenv("IMPRINT_SLOW") != "1" {
		t.Skip("needs IMPRINT_SLOW=1")
	}
	var fs syscall.Statfs_t
	dir := t.TempDir()
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Type != 0xef53 {
		t.Skip("not on ext4")
	}
	first := filepath.Join(dir, "1")
	os.WriteFile(first, nil, 0o644)
	for i := 2; i <= maxLinks; i++ {
		if err := os.Link(first, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			t.Fatalf("link %d: %v", i, err)
		}
	}
	if err := os.Link(first, first+"x"); !errors.Is(err, syscall.EMLINK) {
		t.Errorf("one more: %v", err)
	}
}

// Guix links large files only, and no symlinks.
func TestOptimiseFollowsTheFlavor(t *testing.T) {
	large := strings.Repeat("x", 8192)
	f := Nix
	f.LinkMinSize, f.LinkSymlinks = 8192, false
	node := tree.NewDir("", canonicalDir, []*tree.Node{
		tree.NewFile("a", canonicalFile, tree.Text(large)), tree.NewFile("b", canonicalFile, tree.Text(large)),
		tree.NewFile("c", canonicalFile, tree.Text(large[1:])), tree.NewFile("d", canonicalFile, tree.Text(large[1:])),
		tree.NewSymlink("e", canonicalSymlink, "t"), tree.NewSymlink("f", canonicalSymlink, "t"),
	})
	list := []TargetItem{{&Info{Path: named("x")}, node}}
	links, err := Optimise(t.Context(), f, list, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := groups(treeInodes(list[0].Node)); len(links) != 1 || !slices.Equal(got, []string{"/a /b"}) {
		t.Errorf("%d links, groups %q", len(links), got)
	}
	digest, _, _ := nar.Hash(tree.NewFile("", canonicalFile, tree.Text(large)))
	if links[0].Name != nar.EncodeBase32(digest[:]) {
		t.Errorf("the link is named %s", links[0].Name)
	}
}

// counting is a blob that counts how often it is opened.
type counting struct {
	tree.Blob
	opened *int
}

func (c counting) Open() (tree.Reader, error) { *c.opened++; return c.Blob.Open() }

func TestOptimiseReadsFilesOnce(t *testing.T) {
	var opened int
	blob := counting{tree.Text("x"), &opened}
	list := items("a", "b", "c")
	for i := range list {
		list[i].Node = tree.NewFile("", canonicalFile, blob)
	}
	if _, err := Optimise(t.Context(), Nix, list, 1); err != nil || opened != 1 {
		t.Errorf("opened %d times, %v", opened, err)
	}
	if list[0].Node.Kind() != tree.File || list[1].Node.Inode() != list[0].Node || list[2].Node.Inode() != list[0].Node {
		t.Error("items that are equal files are not linked")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Optimise(ctx, Nix, items("a"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

// Links have the hash of what they are, with the executable bit, as their name.
func TestVerifyLinks(t *testing.T) {
	file := func(name string, mode uint16) *tree.Node {
		return tree.NewFile(name, CanonicalAttr(tree.File, mode), tree.Text("text"))
	}
	name := func(n *tree.Node) string {
		digest, _, err := nar.Hash(n)
		if err != nil {
			t.Fatal(err)
		}
		return nar.EncodeBase32(digest[:])
	}
	plain, program := name(file("", 0o444)), name(file("", 0o555))
	symlink := func(name string) *tree.Node {
		return tree.NewSymlink(name, CanonicalAttr(tree.Symlink, 0), "text")
	}
	for what, c := range map[string]struct {
		nodes []*tree.Node
		want  string
	}{
		"right":      {[]*tree.Node{file(plain, 0o444), file(program, 0o555), symlink(name(symlink("")))}, ""},
		"executable": {[]*tree.Node{file(plain, 0o555)}, "/nix/store/.links/" + plain + `": link of equal files: hash is ` + program},
		"odd name":   {[]*tree.Node{file("x", 0o444)}, "x is expected"},
		"directory":  {[]*tree.Node{tree.NewDir(plain, CanonicalAttr(tree.Dir, 0), nil)}, "is a directory"},
		"fifo":       {[]*tree.Node{tree.NewSpecial(plain, CanonicalAttr(tree.File, 0), tree.Fifo)}, "can only have files"},
	} {
		var got []string
		err := Nix.VerifyLinks(t.Context(), tree.NewDir(LinksDir, CanonicalAttr(tree.Dir, 0), c.nodes), func(f fault.Fault) { got = append(got, f.String()) })
		if err != nil || (len(got) == 0) != (c.want == "") || !strings.Contains(strings.Join(got, "\n"), c.want) {
			t.Errorf("%s: %q, %v, want %q", what, got, err, c.want)
		}
	}
}
