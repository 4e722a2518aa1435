package closure

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/internal/tree"
)

var implied = &tree.Attr{Mode: 0o755}

// install returns a tree with only a target.
func install(t testing.TB, target *Target) *tree.Tree {
	t.Helper()
	b := tree.NewBuilder(implied)
	if err := target.Install(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func items(words ...string) (list []TargetItem) {
	for _, w := range words {
		p := named(w)
		node := tree.NewFile(p.Base(), canonicalFile, tree.Text(w))
		list = append(list, TargetItem{&Info{Path: p, NARHash: sha256.Sum256([]byte(w)), NARSize: 120}, node})
	}
	return list
}

func TestInstallTree(t *testing.T) {
	target := &Target{Flavor: Nix, Items: items("a", "b"), Epoch: 77,
		Roots:    []GCRoot{Nix.GCRoot(named("a")), {"/root/result", named("b").String() + "/bin"}, {"/nix/var/nix/gcroots/deep/er", named("a").String()}},
		Profiles: []Profile{{"system", []Path{named("a"), named("b")}}, {"per-user/root/profile", []Path{named("a")}}}}
	tr := install(t, target)
	a, b := named("a").String(), named("b").String()
	for path, want := range map[string]string{
		"/nix/var/nix/gcroots/" + named("a").Base():                  a,
		"/nix/var/nix/gcroots/profiles":                              "/nix/var/nix/profiles",
		"/nix/var/nix/gcroots/deep/er":                               a,
		"/nix/var/nix/gcroots/auto/7h9kz6xpi43rhva1alqny0hi54w6203b": "/root/result", // the name that nix-store --add-root made
		"/root/result":                                       b + "/bin",
		"/nix/var/nix/profiles/system":                       "system-2-link",
		"/nix/var/nix/profiles/system-1-link":                a,
		"/nix/var/nix/profiles/system-2-link":                b,
		"/nix/var/nix/profiles/per-user/root/profile":        "profile-1-link",
		"/nix/var/nix/profiles/per-user/root/profile-1-link": a,
	} {
		if n := tr.Find(path); n == nil || n.Target() != want {
			t.Errorf("%s is not a link to %s", path, want)
		}
	}
	epoch, store := tree.Time{Sec: 77}, tr.Find("/nix/store")
	if d := cmp.Diff(&tree.Attr{Mode: 0o1775, GID: 30000, Mtime: epoch}, store.Attr); d != "" {
		t.Errorf("store directory: %s", d)
	}
	for _, d := range []string{"/nix", "/nix/var/nix/temproots", "/nix/var/nix/db", "/nix/var/nix/gcroots/per-user/root", "/nix/store/.links"} {
		if n := tr.Find(d); n == nil || n.Attr.Mode != 0o755 {
			t.Errorf("%s: %+v", d, n)
		}
	}
	if n := tr.Find("/nix/var/nix/db/db.sqlite"); n == nil || n.Attr.Mode != 0o644 || n.Attr.Mtime != epoch {
		t.Error("no database")
	}
	for _, item := range target.Items {
		if tr.Find(item.Info.Path.String()) != item.Node || item.Node.Attr.Mtime.Sec != 1 {
			t.Errorf("%s is not the target's node", item.Info.Path)
		}
	}
}

// Directories that the image already has keep their attributes, except for the store directory, whose attributes Nix needs.
func TestInstallIntoATree(t *testing.T) {
	b := tree.NewBuilder(implied)
	private := &tree.Attr{Mode: 0o700}
	for _, d := range []string{"/nix", "/nix/store", "/nix/var/nix/db"} {
		if err := b.Add(d, tree.NewDir("", private, nil), "elsewhere"); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&Target{Flavor: Nix, Items: items("a"), Epoch: 1}).Install(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if b.Find("/nix").Attr != private || b.Find("/nix/var/nix/db").Attr != private || b.Find("/nix/store").Attr.Mode != 0o1775 {
		t.Error("wrong attributes")
	}
	if err := b.Add(named("b").String(), tree.NewDir("", implied, nil), "elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := (&Target{Flavor: Nix, Items: items("b"), Epoch: 1}).Install(t.Context(), b); !says(err, "a directory is there already (elsewhere)") {
		t.Errorf("an item that is there already: %v", err)
	}
}

func TestInstallRefuses(t *testing.T) {
	a := named("a").String()
	for want, target := range map[string]*Target{
		"add GC root /r: the image's store does not have " + named("b").String(): {Roots: []GCRoot{{"/r", named("b").String()}}},
		`add GC root /r: store path "/etc" does not start`:                       {Roots: []GCRoot{{"/r", "/etc"}}},
		"add GC root x: not an absolute path":                                    {Roots: []GCRoot{{"x", a}}},
		"add GC root /: not an absolute path":                                    {Roots: []GCRoot{{"/", a}}},
		"add GC root /x/../y: not an absolute path":                              {Roots: []GCRoot{{"/x/../y", a}}},
		`add profile "system": the image's store does not have`:                  {Profiles: []Profile{{"system", []Path{named("b")}}}},
		`add profile "system": it has no generation`:                             {Profiles: []Profile{{"system", nil}}},
		`add profile "": not a path below /nix/var/nix/profiles`:                 {Profiles: []Profile{{"", []Path{named("a")}}}},
		`add profile "../x": not a path below`:                                   {Profiles: []Profile{{"../x", []Path{named("a")}}}},
		"add GC root //r: /r would link to both " + a + " and " + a + "/x":       {Roots: []GCRoot{{"/r", a}, {"//r", a + "/x"}}},
	} {
		target.Flavor, target.Items = Nix, items("a")
		if err := target.Install(t.Context(), tree.NewBuilder(implied)); !says(err, want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// complaints matches messages of Nix about repairs, which it makes with exit status 0.
var complaints = []string{"modified!", "disappeared", "not in the Nix store", "updating size", "fixing missing", "error"}

// A store that we install passes whatever Nix can check: contents, roots, garbage collection.
func TestInstallAsNix(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	closure := n.compute(root, n.path(n.run("nix-store", "--query", "--deriver", root.String())))
	for epoch, hardLink := range []bool{false, true} {
		target := &Target{Flavor: n.flavor, Items: slices.Clone(closure), Epoch: int64(epoch), HardLink: hardLink, Workers: 2,
			Roots: []GCRoot{n.flavor.GCRoot(closure[len(closure)-1].Info.Path)}, Profiles: []Profile{{"system", []Path{root}}}}
		dir := filepath.Join(t.TempDir(), "image")
		t.Cleanup(func() { makeWritable(dir) })
		unpack(t, dir, install(t, target))
		judge(t, n, dir, closure)
	}
}

// Nix upgrades a database of Guix, whose schema it had once, and then finds a Guix store that we install as perfect as one of its own.
func TestInstallAsGuix(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	closure := n.compute(root, n.path(n.run("nix-store", "--query", "--deriver", root.String())))
	flavor := Guix
	flavor.StoreDir, flavor.StateDir = n.flavor.StoreDir, n.dir+"/var/guix"
	n.flavor = flavor
	for _, hardLink := range []bool{false, true} {
		target := &Target{Flavor: flavor, Items: slices.Clone(closure), Epoch: 5, HardLink: hardLink, Workers: 2,
			Roots: []GCRoot{flavor.GCRoot(closure[len(closure)-1].Info.Path)}, Profiles: []Profile{{"system", []Path{root}}}}
		dir := filepath.Join(t.TempDir(), "image")
		t.Cleanup(func() { makeWritable(dir) })
		unpack(t, dir, install(t, target))
		times := n.run("sqlite3", dir+flavor.StateDir+"/db/db.sqlite", "select distinct registrationTime from ValidPaths")
		if n.at(dir).run("nix-store", "--init"); times != "1" {
			t.Errorf("registered at %s", times)
		}
		if version, err := os.ReadFile(dir + flavor.StateDir + "/db/schema"); err != nil || string(version) != Nix.Schema {
			t.Errorf("Nix has not upgraded the database: %q, %v", version, err)
		}
		judge(t, n, dir, closure)
	}
}

func judge(t *testing.T, n *realNix, dir string, closure []TargetItem) {
	t.Helper()
	in := n.at(dir)
	database := dir + n.flavor.StateDir + "/db/db.sqlite"
	rows := func() string {
		return in.run("sqlite3", database, "select * from ValidPaths order by id; select * from Refs")
	}
	before := rows()
	dead := func() []string { return strings.Fields(in.collect("--print-dead")) }
	verify := func() {
		t.Helper()
		out, err := in.try("", "nix-store", "--verify", "--check-contents")
		if err != nil || slices.ContainsFunc(complaints, func(c string) bool { return strings.Contains(out, c) }) {
			t.Errorf("verify: %v\n%s", err, out)
		}
	}
	verify()
	if after := rows(); after != before || strings.Count(after, "sha256:") < len(closure) {
		t.Errorf("verification changed the database:\n%s\n%s", before, after)
	}
	if d := dead(); len(d) > 0 {
		t.Errorf("dead: %q", d)
	}
	garbage := in.run("nix-store", "--add", n.write("garbage", dir))
	if d := dead(); len(d) != 1 || d[0] != garbage {
		t.Errorf("dead: %q, want %s alone", d, garbage)
	}
	in.collect()
	if after := rows(); after != before {
		t.Errorf("garbage collection changed the database:\n%s\n%s", before, after)
	}
	verify()
	// Without the roots everything is dead.
	os.RemoveAll(dir + n.flavor.StateDir + "/gcroots")
	os.RemoveAll(dir + n.flavor.StateDir + "/profiles")
	if d := dead(); len(d) != len(closure) {
		t.Errorf("%d of %d items are dead without roots", len(d), len(closure))
	}
}

// The image's store has the same registration of its items as the source store.
func TestInstallKeepsInfo(t *testing.T) {
	n := newNix(t)
	root := n.buildSystem()
	n.run("nix", "store", "sign", "--key-file", n.write("key", n.run("nix", "key", "generate-secret", "--key-name", "test-1")), root.String())
	list := n.pathInfo("-r", root.String())
	dir := filepath.Join(t.TempDir(), "image")
	t.Cleanup(func() { makeWritable(dir) })
	unpack(t, dir, install(t, &Target{Flavor: n.flavor, Items: n.compute(root), Epoch: 12}))
	got := n.at(dir).pathInfo("--all")
	if d := cmp.Diff(list, got); d != "" {
		t.Error(d)
	}
	s, err := OpenLocal(t.Context(), dir, n.flavor, readHost)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, p := range list {
		p.check(t, s, n.flavor)
	}
}
