package closure

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

func TestFlavorNamed(t *testing.T) {
	if f, err := FlavorNamed("nix"); err != nil || f != Nix {
		t.Errorf("%v, %v", f, err)
	}
	for name, want := range map[string]string{"guix": "not supported yet", "": `unknown flavor ""`, "nux": `unknown flavor "nux"`} {
		if _, err := FlavorNamed(name); !says(err, want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	odd := &tree.Attr{Mode: 0o4751, UID: 1000, GID: 100, Mtime: tree.Time{Sec: 5, Nsec: 6}, Xattrs: []tree.Xattr{{Name: "user.x"}}}
	group := &tree.Attr{Mode: 0o654} // executable by the group alone: no program for Nix
	first := tree.NewFile("z", odd, tree.Text("x"))
	n, err := Canonical("name", tree.NewDir("other", odd, []*tree.Node{
		first, tree.NewLink("b", first), tree.NewFile("a", group, tree.Text("y")), tree.NewSymlink("c", odd, "target"), tree.NewDir("d", group, nil),
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, n := range tree.Walk("/"+n.Name, n) {
		if d := cmp.Diff(tree.Attr{Mode: n.Attr.Mode, Mtime: tree.Time{Sec: 1}}, *n.Attr); d != "" {
			t.Errorf("%s: %s", path, d)
		}
		got = append(got, strings.Join([]string{path, n.Kind().String(), fs.FileMode(n.Attr.Mode).String()}, " "))
	}
	want := []string{"/name directory -r-xr-xr-x", "/name/a file -r--r--r--", "/name/b file -r-xr-xr-x", "/name/c symlink -rwxrwxrwx",
		"/name/d directory -r-xr-xr-x", "/name/z file -r-xr-xr-x"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	pipe := tree.NewDir("", odd, []*tree.Node{tree.NewSpecial("pipe", odd, tree.Fifo)})
	if _, err := Canonical("x", pipe); !says(err, `fifo at "/pipe"`) {
		t.Errorf("a fifo: %v", err)
	}
}

// pathInfo is what "nix path-info --json" says.
type pathInfo struct {
	Path, NarHash, Deriver, CA string
	NarSize                    int64
	References, Signatures     []string
}

func (n *realNix) pathInfo(args ...string) []pathInfo {
	n.t.Helper()
	var list []pathInfo
	if err := json.Unmarshal([]byte(n.run(append([]string{"nix", "path-info", "--json"}, args...)...)), &list); err != nil {
		n.t.Fatal(err)
	}
	return list
}

// check compares what a store says with what Nix says.
func (p pathInfo) check(t *testing.T, s Store, f Flavor) {
	t.Helper()
	path, err := f.ParsePath(p.Path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Info(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := nar.ParseHash(p.NarHash)
	if err != nil {
		t.Fatal(err)
	}
	want := &Info{Path: path, NARHash: hash, NARSize: p.NarSize, Deriver: p.Deriver, CA: p.CA, Sigs: p.Signatures, Outputs: got.Outputs}
	for _, r := range p.References {
		reference, _ := f.ParsePath(r)
		want.References = append(want.References, reference)
	}
	slices.SortFunc(want.References, Path.Compare)
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b Path) bool { return a == b })); d != "" {
		t.Errorf("%s (Nix, then we):\n%s", p.Path, d)
	}
}

// While something keeps the database open, what Nix registers stays in its write-ahead log; we see it there.
func TestNixStoreInfo(t *testing.T) {
	n := newNix(t)
	n.run("nix-store", "--init")
	keep, err := sqlite3.Open("file:" + n.flavor.StateDir + "/db/db.sqlite")
	if err == nil {
		err = keep.Exec("begin; select * from ValidPaths")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	root := n.buildSystem()
	n.run("nix", "store", "sign", "--key-file", n.write("key", n.run("nix", "key", "generate-secret", "--key-name", "test-1")), root.String())
	if log, err := os.Stat(n.flavor.StateDir + "/db/db.sqlite-wal"); err != nil || log.Size() == 0 {
		t.Fatalf("there is no write-ahead log: %v", err)
	}
	s := n.open()
	list := n.pathInfo("-r", root.String())
	signed := func(p pathInfo) bool { return len(p.Signatures) > 0 }
	if len(list) != 6 || !slices.ContainsFunc(list, signed) {
		t.Fatalf("not the closure that was asked for: %+v", list)
	}
	for _, p := range list {
		p.check(t, s, n.flavor)
	}
	for _, p := range n.pathInfo("-r", "--derivation", n.run("nix-store", "--query", "--deriver", root.String())) {
		p.check(t, s, n.flavor)
	}
}

// The outputs of derivations, from the database and from the derivations themselves, are those that the sqlite3 program reads.
func TestDerivationOutputs(t *testing.T) {
	n := newNix(t)
	root := n.path(n.run("nix-store", "--query", "--deriver", n.buildSystem().String()))
	registered, err := OpenRegistration("", n.write("registration", n.run("nix-store", "--dump-db")+"\n"), n.flavor, readHost)
	if err != nil {
		t.Fatal(err)
	}
	rows := n.run("sqlite3", "-separator", " ", n.flavor.StateDir+"/db/db.sqlite",
		"select v.path, d.id, d.path from DerivationOutputs d join ValidPaths v on v.id = d.drv order by v.path, d.id")
	for _, s := range []Store{n.open(), registered} {
		c, err := Compute(t.Context(), []Store{s}, []Path{root})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(c.Items, func(a, b Item) int { return a.Info.Path.Compare(b.Info.Path) })
		var lines []string
		for _, i := range c.Items {
			for _, o := range i.Info.Outputs {
				lines = append(lines, i.Info.Path.String()+" "+o.ID+" "+o.Path.String())
			}
		}
		if d := cmp.Diff(strings.Split(rows, "\n"), lines); d != "" || len(lines) < 5 {
			t.Errorf("%v:\n%s", s, d)
		}
	}
}

// The content of items gives the registered hashes, however the host's files look.
func TestItemHasTheRegisteredHash(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	if err := os.Chmod(root.String()+"/bin/run", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, item := range n.compute(root) {
		hash, size, err := nar.Hash(item.Node)
		if err != nil || hash != item.Info.NARHash || size != item.Info.NARSize {
			t.Errorf("%s: %x of %d bytes, %v; registered is %x of %d", item.Info.Path, hash, size, err, item.Info.NARHash, item.Info.NARSize)
		}
	}
}

func TestNixStoreRefuses(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	s := n.open()
	if _, err := s.Info(t.Context(), n.path(n.flavor.StoreDir+"/"+digits+"-absent")); !errors.Is(err, ErrNotFound) {
		t.Errorf("an absent item: %v", err)
	}
	if err := errors.Join(os.Chmod(root.String(), 0o755), syscall.Mkfifo(root.String()+"/pipe", 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Item(t.Context(), root); !says(err, "pipe") {
		t.Errorf("an item with a fifo: %v", err)
	}
	n.write("nix/var/nix/db/schema", "11")
	if _, err := OpenNix(t.Context(), "", n.flavor, readHost); !says(err, `version "11", only 10 is supported`) {
		t.Errorf("another schema: %v", err)
	}
	if _, err := OpenNix(t.Context(), t.TempDir(), Nix, readHost); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no store: %v", err)
	}
}

// A store whose database holds what no Nix registers.
func TestNixStoreRefusesForeignPaths(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	n.run("sqlite3", filepath.Join(n.flavor.StateDir, "db/db.sqlite"), "update ValidPaths set path = '/etc/passwd' where path like '%text.txt'")
	if _, err := Compute(t.Context(), []Store{n.open()}, []Path{root}); !says(err, `store path "/etc/passwd" does not start with`) {
		t.Errorf("got %v", err)
	}
}
