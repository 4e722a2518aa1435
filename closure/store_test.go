package closure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"

	"imprint/closure/db"
	"imprint/closure/nar"
	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

func TestFlavorNamed(t *testing.T) {
	for _, want := range Flavors() {
		if f, err := FlavorNamed(want.Name); err != nil || f != want {
			t.Errorf("%v, %v", f, err)
		}
	}
	for name, want := range map[string]string{"": `unknown flavor ""; known: nix, guix`, "nux": `unknown flavor "nux"`} {
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

// pathInfo is the output of "nix path-info --json".
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

// check compares the registration in a store with the output of Nix.
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

// While a program keeps the database open, new registrations stay in its write-ahead log, and are read there.
func TestLocalStoreInfo(t *testing.T) {
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
	registered, err := OpenRegistration(t.Context(), "", n.write("registration", n.run("nix-store", "--dump-db")+"\n"), n.flavor, readHost)
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

// Items have their registered hashes, whatever the attributes of the host's files.
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

func TestLocalStoreRefuses(t *testing.T) {
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
	if _, err := OpenLocal(t.Context(), "", n.flavor, readHost); !says(err, `version "11", only 10 is supported`) {
		t.Errorf("another schema: %v", err)
	}
	if _, err := OpenLocal(t.Context(), t.TempDir(), Nix, readHost); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no store: %v", err)
	}
}

// A database with values that Nix never registers is refused.
func TestLocalStoreRefusesForeignPaths(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	n.run("sqlite3", filepath.Join(n.flavor.StateDir, "db/db.sqlite"), "update ValidPaths set path = '/etc/passwd' where path like '%text.txt'")
	if _, err := Compute(t.Context(), []Store{n.open()}, []Path{root}); !says(err, `store path "/etc/passwd" does not start with`) {
		t.Errorf("got %v", err)
	}
}

// An item that garbage collection takes is reported as such, not as a damaged store; one that is only missing is not.
func TestGarbageCollectedItem(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	s := n.open()
	c, err := Compute(t.Context(), []Store{s}, []Path{root})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	away := n.dir + "/away"
	if err := errors.Join(os.Chmod(n.flavor.StoreDir, 0o755), os.Rename(root.String(), away)); err != nil {
		t.Fatal(err)
	}
	var gone *GoneError
	if _, err := readItems(t.Context(), c); !errors.Is(err, fs.ErrNotExist) || errors.As(err, &gone) {
		t.Errorf("an item that is registered, but not there: %v", err)
	}
	if err := os.Rename(away, root.String()); err != nil {
		t.Fatal(err)
	}
	n.collect()
	if _, err := readItems(t.Context(), c); !errors.As(err, &gone) || !says(err, "keep a root until the image is complete") {
		t.Errorf("an item that was collected: %v", err)
	}
}

func TestStoreErrorsNameTheFileOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/nix/var/nix/db", 0o755); err != nil {
		t.Fatal(err)
	}
	database := dir + "/nix/var/nix/db/db.sqlite"
	check := func(what string, users bool) {
		t.Helper()
		_, err := OpenLocal(t.Context(), dir, Nix, readHost)
		if err == nil || strings.Count(err.Error(), dir) != 1 || errors.As(err, new(*InvalidError)) != users {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("no database", false)
	if err := syscall.Mkfifo(database, 0o644); err != nil {
		t.Fatal(err)
	}
	check("a fifo", true)
	os.Remove(database)
	os.WriteFile(database, []byte("SQLite format 3\x00"), 0o644)
	check("a short database", true)
	os.Symlink("/dev/zero", dir+"/nix/var/nix/db/schema")
	if _, err := OpenLocal(t.Context(), dir, Nix, readHost); !says(err, "schema is not a regular file") {
		t.Errorf("an endless version: %v", err)
	}
}

// The registration of an item in a database is checked, and errors about it are printable.
func FuzzInfo(f *testing.F) {
	body := func(t testing.TB, deriver, ca, sigs, reference, id, output string) {
		row := &db.Item{Deriver: deriver, CA: ca, References: []string{reference}, Outputs: []db.Output{{ID: id, Path: output}}}
		if sigs != "" {
			row.Sigs = strings.Split(sigs, " ")
		}
		info, err := Nix.Registered(named("x"), row)
		text := fmt.Sprint(deriver, ca, sigs, reference, id, output)
		if err != nil {
			text = err.Error()
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 }) || !utf8.ValidString(text) {
			t.Errorf("%q, accepted: %v", text, err == nil)
		}
		if err == nil && (len(info.References) != 1 || len(info.Outputs) != 1) {
			t.Errorf("%+v", info)
		}
	}
	path := named("a").String()
	f.Add(path, "fixed:r:sha256:0asy", "key-1:AAAA== key-2:BBBB", path, "out", path)
	f.Add("", "", "", path+"/\x1b[2J", "o\n", "")
	f.Add(path+"\x00", "text\x1b", "key:\x9b", path, "out", path)
	hosttest.Quick(f, func() { body(f, path, "fixed:r:sha256:0", "key-1:AAAA==", path, "out", path) })
	f.Fuzz(func(t *testing.T, deriver, ca, sigs, reference, id, output string) {
		body(t, deriver, ca, sigs, reference, id, output)
	})
}
