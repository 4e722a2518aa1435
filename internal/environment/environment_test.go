package environment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/layer"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/tree"
)

var attr = &tree.Attr{Mode: 0o644, UID: 7, GID: 8, Mtime: tree.Time{Sec: 9, Nsec: 10}, Xattrs: []tree.Xattr{{Name: "user.x", Value: []byte("v")}}}

// made returns a layer of files, "PATH=CONTENT", and whiteouts, "-PATH".
func made(t testing.TB, list ...string) *layer.Layer {
	t.Helper()
	var entries []layer.Entry
	for _, one := range list {
		path, content, file := strings.Cut(one, "=")
		if file {
			entries = append(entries, layer.Entry{Path: path, Node: tree.NewFile("", attr, tree.Text(content))})
		} else {
			entries = append(entries, layer.Entry{Path: strings.TrimPrefix(path, "-")})
		}
	}
	l, err := layer.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t testing.TB, s *Store, list ...string) objects.Digest {
	t.Helper()
	d, err := s.Add(t.Context(), made(t, list...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "build store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// tags returns the tags of an environment with numbers for pins.
func tags(t testing.TB, s *Store, name string, pins ...objects.Digest) string {
	t.Helper()
	e := must[*Environment](t)(s.Environment(name))
	var list []string
	for tag, pin := range e.Tags {
		list = append(list, fmt.Sprintf("%s=%d", tag, slices.Index(pins, pin)))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func paths(t testing.TB, s *Store, pin objects.Digest) string {
	t.Helper()
	var list []string
	for path, n := range must[*tree.Tree](t)(s.Tree(pin)).Walk() {
		if n.Kind() == tree.File {
			list = append(list, path+"="+string(must[[]byte](t)(tree.ReadAll(n.Blob(), 100))))
		}
	}
	return strings.Join(list, " ")
}

// An environment is made once, layers are put on its tags, and the current tag is rolled back as far as the first.
func TestTags(t *testing.T) {
	s := newStore(t)
	pin := must[objects.Digest](t)
	a := pin(s.Init(t.Context(), "web", add(t, s, "/a=1", "/b=1")))
	if _, err := s.Init(t.Context(), "web", add(t, s, "/x=1")); err == nil || !strings.Contains(err.Error(), `there is an environment "web" already`) {
		t.Errorf("it is made twice: %v", err)
	}
	b, moved, err := s.Append(t.Context(), "web", "", add(t, s, "/a=2", "-/b"))
	if err != nil || moved != Current {
		t.Fatal(err, moved)
	}
	if got := tags(t, s, "web", a, b); got != "current=1 root=0" {
		t.Errorf("tags are %s", got)
	}
	if got := paths(t, s, a) + ", " + paths(t, s, b); got != "/a=1 /b=1, /a=2" {
		t.Errorf("trees are %s", got)
	}
	pin(s.Tag(t.Context(), "web", "stable", ""))
	if got := pin(s.RollBack(t.Context(), "web")); got != a {
		t.Errorf("it rolled back to %x", got)
	}
	if _, err := s.RollBack(t.Context(), "web"); !errors.Is(err, ErrFirst) {
		t.Errorf("the first layer is rolled back: %v", err)
	}
	if got := tags(t, s, "web", a, b); got != "current=0 root=0 stable=1" {
		t.Errorf("tags are %s", got)
	}
	c, moved, err := s.Append(t.Context(), "web", "stable", add(t, s, "/c=3"))
	if err != nil || moved != "stable" || paths(t, s, c) != "/a=2 /c=3" {
		t.Error(err, moved, paths(t, s, c))
	}
	d, moved, err := s.Append(t.Context(), "web", Root, add(t, s, "/d=4"))
	if err != nil || moved != Current || paths(t, s, d) != "/a=1 /b=1 /d=4" {
		t.Error(err, moved, paths(t, s, d))
	}
	pin(s.Tag(t.Context(), "web", Current, "stable"))
	pin(s.Tag(t.Context(), "web", "old", objects.Text(b)[:7]))
	if got := tags(t, s, "web", a, b, c, d); got != "current=2 old=1 root=0 stable=2" {
		t.Errorf("tags are %s", got)
	}
	if _, _, err := s.AppendTo(t.Context(), "web", "stable", add(t, s, "/e=5"), b); !errors.Is(err, ErrMoved) {
		t.Errorf("a layer for another stack is taken: %v", err)
	}
	if e, moved, err := s.AppendTo(t.Context(), "web", objects.Text(b), add(t, s, "/e=5"), b); err != nil || moved != Current || paths(t, s, e) != "/a=2 /e=5" {
		t.Error(err, moved)
	}
	pin(s.Tag(t.Context(), "web", Current, "stable"))
	for what, err := range map[string]error{
		"the root moves":        second(s.Tag(t.Context(), "web", Root, "stable")),
		"an unknown tag":        second(s.Tag(t.Context(), "web", "x", "none")),
		"a short pin":           second(s.Tag(t.Context(), "web", "x", objects.Text(b)[:6])),
		"a name":                second(s.Tag(t.Context(), "web", "../x", "stable")),
		"a tag like a pin":      second(s.Tag(t.Context(), "web", "abcdef0", "stable")),
		"an unknown environ":    second(s.Tag(t.Context(), "wep", "x", "stable")),
		"a name of an environ":  second(s.Init(t.Context(), "../x", a)),
		"removing root":         s.Untag(t.Context(), "web", Root),
		"removing current":      s.Untag(t.Context(), "web", Current),
		"removing what is none": s.Untag(t.Context(), "web", "none"),
		"an unknown one":        second(s.RollBack(t.Context(), "wep")),
	} {
		if err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if err := s.Untag(t.Context(), "web", "old"); err != nil || tags(t, s, "web", a, b, c) != "current=2 root=0 stable=2" {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// A pin depends on all layers below, and a stack is checked without its layers.
func TestChain(t *testing.T) {
	s, other := newStore(t), newStore(t)
	build := func(s *Store, name string, layers ...string) objects.Digest {
		p := must[objects.Digest](t)(s.Init(t.Context(), name, add(t, s, layers[0])))
		for _, l := range layers[1:] {
			p, _, _ = s.Append(t.Context(), name, "", add(t, s, l))
		}
		return p
	}
	abc := build(s, "one", "/a=1", "/b=1", "/c=1")
	if build(other, "two", "/a=1", "/b=1", "/c=1") != abc {
		t.Error("equal stacks have other pins")
	}
	if build(s, "three", "/b=1", "/a=1", "/c=1") == abc || build(s, "four", "/a=2", "/b=1", "/c=1") == abc {
		t.Error("other stacks have the same pin")
	}
	stack := must[[]Link](t)(s.Stack(abc))
	for _, link := range stack {
		if err := s.contents.Remove(link.Layer); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := s.Stack(abc); err != nil || len(again) != 3 {
		t.Errorf("without layers: %v", err)
	}
	if _, err := s.Tree(abc); !errors.Is(err, objects.ErrMissing) {
		t.Errorf("a tree without layers: %v", err)
	}
	if err := s.contents.Remove(stack[1].Pin); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stack(abc); !errors.Is(err, objects.ErrMissing) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Stack(stack[2].Layer); err == nil {
		t.Error("a layer is taken for a link")
	}
}

// What is there after a collection is what tags lead to; shared layers and contents are kept, and what is missing is not removed.
func TestCollect(t *testing.T) {
	s := newStore(t)
	must[objects.Digest](t)(s.Init(t.Context(), "web", add(t, s, "/a=shared", "/b=own")))
	must[objects.Digest](t)(s.Init(t.Context(), "db", add(t, s, "/a=shared", "/c=c")))
	s.Append(t.Context(), "web", "", add(t, s, "/d=rolled back"))
	must[objects.Digest](t)(s.RollBack(t.Context(), "web"))
	add(t, s, "/e=of a killed command")
	called := 0
	also := func(names []string, live map[objects.Digest]bool) error {
		called++
		if len(names) != 2 || len(live) != 7 {
			t.Errorf("%v, %d", names, len(live))
		}
		return nil
	}
	before := len(must[map[objects.Digest]int64](t)(s.contents.All()))
	g, err := s.Collect(t.Context(), true, also)
	if err != nil || len(g.Digests) != 5 || called != 0 || len(must[map[objects.Digest]int64](t)(s.contents.All())) != before {
		t.Errorf("%v, %d objects", err, len(g.Digests))
	}
	again, err := s.Collect(t.Context(), false, also)
	if err != nil || !slices.Equal(again.Digests, g.Digests) || again.Bytes != g.Bytes || called != 1 {
		t.Error(err, again)
	}
	if there := must[map[objects.Digest]int64](t)(s.contents.All()); len(there) != 7 {
		t.Errorf("%d objects are left", len(there))
	}
	g, shared, err := s.Remove(t.Context(), "web")
	if err != nil || len(g.Digests) != 3 || len(shared) != 0 {
		t.Errorf("%v, removed %d, shared are %v", err, len(g.Digests), shared)
	}
	if n := verified(t, s); n != 4 {
		t.Errorf("%d objects are left", n)
	}
	if g, err := s.Collect(t.Context(), false, func([]string, map[objects.Digest]bool) error { return nil }); err != nil || len(g.Digests)+len(g.Missing) != 0 {
		t.Error(err, g)
	}
	content := objects.Digest{}
	for d, size := range must[map[objects.Digest]int64](t)(s.contents.All()) {
		if size == 1 {
			content = d
		}
	}
	s.contents.Remove(content)
	if g, err := s.Collect(t.Context(), false, func([]string, map[objects.Digest]bool) error { return nil }); err != nil || len(g.Digests) != 0 || len(g.Missing) != 1 || g.Missing[0] != content {
		t.Error(err, g)
	}
}

// Shared layers stay, with those who have them.
func TestRemoveShared(t *testing.T) {
	s := newStore(t)
	base := add(t, s, "/a=1")
	for _, name := range []string{"web", "db"} {
		must[objects.Digest](t)(s.Init(t.Context(), name, base))
		if _, _, err := s.Append(t.Context(), name, "", add(t, s, "/own="+name)); err != nil {
			t.Fatal(err)
		}
	}
	g, shared, err := s.Remove(t.Context(), "web")
	if err != nil || len(g.Digests) != 3 || len(shared) != 1 || !slices.Equal(shared[base], []string{"db"}) {
		t.Errorf("%v, removed %d, shared are %v", err, len(g.Digests), shared)
	}
	if got := paths(t, s, must[*Environment](t)(s.Environment("db")).Tags[Current]); got != "/a=1 /own=db" {
		t.Errorf("the other one has %s", got)
	}
	var unknown *named.UnknownError
	if _, _, err := s.Remove(t.Context(), "web"); !errors.As(err, &unknown) || !slices.Equal(unknown.Known, []string{"db"}) {
		t.Errorf("got %v", err)
	}
}

// verified verifies a store and returns how many objects environments lead to.
func verified(t testing.TB, s *Store) int {
	t.Helper()
	n, err := s.Verify(t.Context(), func(fault error) { t.Error(fault) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Damage is found wherever it is, and a damaged stack keeps everything from being collected.
func TestVerify(t *testing.T) {
	s := newStore(t)
	must[objects.Digest](t)(s.Init(t.Context(), "web", add(t, s, "/a=content")))
	n := verified(t, s)
	for d := range must[map[objects.Digest]int64](t)(s.contents.All()) {
		path := filepath.Join(s.dir, "objects", objects.Text(d)[:2], objects.Text(d)[2:])
		good := must[[]byte](t)(os.ReadFile(path))
		os.Chmod(path, 0o600)
		bad := slices.Clone(good)
		bad[0] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		faults := 0
		s.Verify(t.Context(), func(error) { faults++ })
		if faults == 0 {
			t.Errorf("no fault for damage of %q", good)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := must[*Environment](t)(s.Environment("web"))
	s.contents.Remove(e.Tags[Root])
	if _, err := s.Collect(t.Context(), false, nil); !errors.Is(err, objects.ErrMissing) {
		t.Errorf("got %v", err)
	}
	if there := must[map[objects.Digest]int64](t)(s.contents.All()); len(there) != n-1 {
		t.Error("something was removed although a stack cannot be read")
	}
}

// Everything that a layer can have comes back from the store.
func TestRoundTrip(t *testing.T) {
	s := newStore(t)
	file := tree.NewFile("", attr, tree.Text("x"))
	l, err := layer.New([]layer.Entry{
		{Path: "/", Node: tree.NewDir("", attr, nil)}, {Path: "/d", Node: tree.NewDir("", attr, nil), Opaque: true}, {Path: "/d/f", Node: file},
		{Path: "/d/g", Node: tree.NewLink("", file)}, {Path: "/l", Node: tree.NewSymlink("", attr, "../../etc")}, {Path: "/gone"},
		{Path: "/c", Node: tree.NewDevice("", attr, tree.CharDevice, tree.Device{Major: 1, Minor: 3})}, {Path: "/p", Node: tree.NewSpecial("", attr, tree.Fifo)},
		{Path: "/holes", Node: tree.NewFile("", attr, tree.Text("a"+strings.Repeat("\x00", 300<<10)+"b"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := must[objects.Digest](t)(s.Add(t.Context(), l))
	again := must[*layer.Layer](t)(s.Layer(d))
	if got := must[tree.Pin](t)(again.Digest()); got != d {
		t.Errorf("%x became %x", d, got)
	}
	for _, f := range again.Files() {
		if f.Path != "/holes" {
			continue
		}
		if data := tree.DataOf(f.Node.Blob()); len(data) != 2 || len(must[[]byte](t)(tree.ReadAll(f.Node.Blob(), 1<<20))) != 300<<10+2 {
			t.Errorf("data of the sparse file is %v", data)
		}
	}
}

// Two who change the same environments at the same time lose nothing, while a third collects garbage.
func TestAtOnce(t *testing.T) {
	s := newStore(t)
	must[objects.Digest](t)(s.Init(t.Context(), "web", add(t, s, "/a=1")))
	var all sync.WaitGroup
	const each = 15
	for who := range 3 {
		all.Go(func() {
			mine, err := Open(filepath.Dir(s.dir))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range each {
				release, err := mine.Use(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				d, err := mine.Add(t.Context(), made(t, fmt.Sprintf("/%d/%d=same content", who, i)))
				if err == nil {
					_, _, err = mine.Append(t.Context(), "web", "", d)
				}
				release()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range each {
			if _, err := s.Collect(t.Context(), false, func([]string, map[objects.Digest]bool) error { return nil }); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	stack := must[[]Link](t)(s.Stack(must[*Environment](t)(s.Environment("web")).Tags[Current]))
	if len(stack) != 1+3*each {
		t.Errorf("there are %d layers", len(stack))
	}
	verified(t, s)
}

// A write that fails or is cancelled leaves the environment as it was, and nothing after a collection.
func TestFailures(t *testing.T) {
	s := newStore(t)
	first := must[objects.Digest](t)(s.Init(t.Context(), "web", add(t, s, "/a=1")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Add(ctx, made(t, "/b=2")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, _, err := s.Append(ctx, "web", "none", first); err == nil {
		t.Error("no error")
	}
	entries := must[[]fs.DirEntry](t)(os.ReadDir(filepath.Join(s.dir, "environments")))
	if len(entries) != 1 {
		t.Errorf("there are %v", entries)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "environments", ".new"), []byte("half"), 0o600); err != nil { // of a killed process
		t.Fatal(err)
	}
	must[objects.Digest](t)(s.Tag(t.Context(), "web", "x", ""))
	if got := tags(t, s, "web", first); got != "current=0 root=0 x=0" {
		t.Errorf("tags are %s", got)
	}
	for _, text := range []string{"", "imprint environment 1\n", "imprint environment 1\nroot x\n", "imprint environment 1\ncurrent " + objects.Text(first) + "\n", "x" + string(kind.Text(must[*Environment](t)(s.Environment("web"))))} {
		if _, err := kind.Value("web", []byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// No text makes the parsers fail in another way than with an error.
func FuzzParse(f *testing.F) {
	e := &Environment{Name: "web", Tags: map[string]objects.Digest{Root: {1}, Current: {2}, "stable": {3}}}
	f.Add(kind.Text(e))
	f.Add(linkText(nil, objects.Digest{1}))
	f.Add(linkText(&objects.Digest{1}, objects.Digest{2}))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		if e, err := kind.Value("web", text); err == nil && string(kind.Text(e)) != string(text) {
			t.Errorf("%q became %q", text, kind.Text(e))
		}
		if below, layer, err := parseLink(text); err == nil && string(linkText(below, layer)) != string(text) {
			t.Errorf("%q is another link", text)
		}
	})
}
