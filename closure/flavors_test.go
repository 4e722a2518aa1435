package closure

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/fault"
	"imprint/internal/tree"
)

// A madeStore is a store made without our code.
type madeStore struct {
	flavor       Flavor
	root         string // the directory that holds the store
	system       Path   // refers to library, which refers to nothing
	library      Path
	registration string // files with the registration, and the graph of references
	graph        string
}

// sample is the content of equal files: small ones, which Guix does not link, and large ones.
var sample = map[string]string{"small": strings.Repeat("s", 8191), "large": strings.Repeat("l", 8192)}

// makeStores returns a store of each flavor, with the same contents.
func makeStores(t *testing.T) (made []madeStore) {
	t.Helper()
	for f, dir := range map[*Flavor]string{&Nix: demostore.Nix, &Guix: demostore.Guix} {
		m := madeStore{flavor: *f, root: t.TempDir()}
		t.Cleanup(func() { makeWritable(m.root) })
		s, err := demostore.Create(m.root, dir)
		add := func(name string, references ...string) Path {
			if err != nil {
				t.Fatal(err)
			}
			var item demostore.Item
			if item, err = s.Add(name, references, writeSample); err != nil {
				t.Fatal(err)
			}
			p, err := f.ParsePath(item.Path)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		m.library = add("library")
		m.system = add("system", m.library.String())
		m.registration, m.graph = filepath.Join(m.root, "registration"), filepath.Join(m.root, "graph")
		graph := record(m.system.String(), "", "1", m.library.String()) + record(m.library.String(), "", "0")
		if err := errors.Join(os.WriteFile(m.registration, []byte(s.Registration()), 0o644), os.WriteFile(m.graph, []byte(graph), 0o644)); err != nil {
			t.Fatal(err)
		}
		made = append(made, m)
	}
	slices.SortFunc(made, func(a, b madeStore) int { return cmp.Compare(b.flavor.Name, a.flavor.Name) })
	return made
}

// writeSample writes two equal files of each size, and two equal links.
func writeSample(path string) error {
	err := os.Mkdir(path, 0o755)
	for name, text := range sample {
		for _, n := range []string{"1", "2"} {
			err = errors.Join(err, os.WriteFile(filepath.Join(path, name+n), []byte(text), 0o644), os.Symlink("small1", filepath.Join(path, "link-"+name+n)))
		}
	}
	return err
}

// target returns the closure of the system as a target, out of a registration file.
func (m madeStore) target(t *testing.T, file string) *Target {
	t.Helper()
	s, err := OpenRegistration(t.Context(), m.root, file, m.flavor, readHost)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compute(t.Context(), []Store{s}, []Path{m.system})
	if err != nil {
		t.Fatal(err)
	}
	items, err := readItems(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return &Target{Flavor: m.flavor, Items: items, Epoch: 77, Workers: 2, Profiles: []Profile{{"system", []Path{m.library, m.system}}}}
}

// A graph of references leads to the same registration as a file with hashes, which are those of another program.
func TestGraphIsHashed(t *testing.T) {
	for _, m := range makeStores(t) {
		registered, graph := m.target(t, m.registration), m.target(t, m.graph)
		for i, item := range registered.Items {
			if g := graph.Items[i].Info; g.Path != item.Info.Path || g.NARHash != item.Info.NARHash || g.NARSize != item.Info.NARSize {
				t.Errorf("%s: %+v, and from a graph %+v", m.flavor.Name, item.Info, g)
			}
		}
		absent := m.flavor.StoreDir + "/" + digits + "-absent"
		if err := os.WriteFile(m.graph, []byte(record(absent, "", "0")), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := OpenRegistration(t.Context(), m.root, m.graph, m.flavor, readHost)
		var wrong *InvalidError
		if !errors.As(err, &wrong) || !says(err, m.flavor.RootCommand(absent)) {
			t.Errorf("%s: an absent item: %v", m.flavor.Name, err)
		}
	}
}

// A store that we install has what its flavor needs, and reads back as it was.
func TestInstallFlavors(t *testing.T) {
	for _, m := range makeStores(t) {
		f := m.flavor
		tr := install(t, m.target(t, m.registration))
		for at, want := range map[string]string{
			"/profiles/system":        "system-2-link",
			"/profiles/system-1-link": m.library.String(),
			"/profiles/system-2-link": m.system.String(),
			"/gcroots/profiles":       f.StateDir + "/profiles",
		} {
			if n := tr.Find(f.StateDir + at); n == nil || n.Target() != want {
				t.Errorf("%s: %s is not a link to %s", f.Name, at, want)
			}
		}
		if dir := tr.Find(f.StoreDir); dir.Attr.Mode != 0o1775 || dir.Attr.UID != 0 || dir.Attr.GID != 30000 {
			t.Errorf("%s: store directory: %+v", f.Name, dir.Attr)
		}
		if text, err := tree.ReadAll(tr.Find(f.StateDir+"/db/schema").Blob(), 10); err != nil || string(text) != f.Schema {
			t.Errorf("%s: schema %q, %v", f.Name, text, err)
		}
		stores, err := OpenTrees(t.Context(), tr)
		if err != nil || len(stores) != 1 || stores[0].Flavor() != f {
			t.Fatalf("%s: %v, %v", f.Name, stores, err)
		}
		defer stores[0].Close()
		if err := stores[0].Verify(t.Context(), func(fault fault.Fault) { t.Errorf("%s: %v", f.Name, fault) }); err != nil {
			t.Error(err)
		}
		if paths, err := stores[0].Paths(t.Context()); err != nil || !slices.Equal(paths, []Path{m.library, m.system}) {
			t.Errorf("%s: %v, %v", f.Name, paths, err)
		}
	}
}

// What differs between the flavors in an image.
func TestStateDirectories(t *testing.T) {
	for _, m := range makeStores(t) {
		tr := install(t, m.target(t, m.graph))
		guix := m.flavor == Guix
		for at, want := range map[string]bool{
			"/gcroots/booted-system": guix, "/gcroots/current-system": guix, "/gcroots/per-user": !guix, "/profiles/per-user/root": true,
			"/gcroots/auto": true, "/temproots": true,
		} {
			if n := tr.Find(m.flavor.StateDir + at); (n != nil) != want {
				t.Errorf("%s: %s is there: %v", m.flavor.Name, at, n != nil)
			}
		}
	}
}

// The optimisers differ in what they link: Guix's only files of 8192 bytes and more. The small ones of one item are linked all the same.
func TestOptimiseFlavors(t *testing.T) {
	for _, m := range makeStores(t) {
		target := m.target(t, m.registration)
		for _, item := range target.Items {
			if err := Unify(t.Context(), item.Node, m.flavor.LinkMinSize, nil); err != nil {
				t.Fatal(err)
			}
		}
		target.HardLink = true
		tr := install(t, target)
		links := len(tr.Find(m.flavor.StoreDir + "/.links").Children())
		inodes := map[*tree.Node]bool{}
		for _, n := range tree.Walk(m.flavor.StoreDir, tr.Find(m.flavor.StoreDir)) {
			if n.Inode().Kind() == tree.File {
				inodes[n.Inode()] = true
			}
		}
		if want := map[string][2]int{"nix": {3, 2}, "guix": {1, 3}}[m.flavor.Name]; links != want[0] || len(inodes) != want[1] {
			t.Errorf("%s: %d links and %d inodes, want %v", m.flavor.Name, links, len(inodes), want)
		}
	}
}

// A store's database is opened by its flavor, whose version it has.
func TestOpenLocalFlavors(t *testing.T) {
	for _, m := range makeStores(t) {
		dir := t.TempDir()
		t.Cleanup(func() { makeWritable(dir) })
		unpack(t, dir, install(t, m.target(t, m.registration)))
		s, err := OpenLocal(t.Context(), dir, m.flavor, readHost)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := Compute(t.Context(), []Store{s}, []Path{m.system}); err != nil || len(c.Items) != 2 {
			t.Errorf("%s: %v, %v", m.flavor.Name, c, err)
		}
		s.Close()
		for _, other := range Flavors() {
			if _, err := OpenLocal(t.Context(), dir, other, readHost); other != m.flavor && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s read as %s: %v", m.flavor.Name, other.Name, err)
			}
		}
		if err := os.WriteFile(dir+m.flavor.StateDir+"/db/schema", []byte("6"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLocal(t.Context(), dir, m.flavor, readHost); !says(err, `version "6", only `+m.flavor.Schema+" is supported") {
			t.Errorf("%s: another version: %v", m.flavor.Name, err)
		}
	}
}
