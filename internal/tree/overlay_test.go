package tree_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"imprint/internal/tree"
)

var attr = &tree.Attr{Mode: 0o755}

// a node of an overlay test: "path/" is a directory, "path -> target" a symlink, "path = text" a file.
func addLines(b *tree.Builder, overlay bool, origin string, lines ...string) error {
	add := b.Add
	if overlay {
		add = b.Overlay
	}
	var all []error
	for _, line := range lines {
		path, target, isLink := strings.Cut(line, " -> ")
		name, text, _ := strings.Cut(line, " = ")
		switch {
		case isLink:
			all = append(all, add(path, tree.NewSymlink("", attr, target), origin))
		case strings.HasSuffix(line, "/"):
			all = append(all, add(line, tree.NewDir("", attr, nil), origin))
		default:
			all = append(all, add(name, tree.NewFile("", attr, tree.Text(text)), origin))
		}
	}
	return errors.Join(all...)
}

func linesOf(t *testing.T, b *tree.Builder) (lines []string) {
	t.Helper()
	made, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	for path, n := range made.Walk() {
		switch n.Kind() {
		case tree.Dir:
			if len(n.Children()) == 0 {
				lines = append(lines, path+"/")
			}
		case tree.Symlink:
			lines = append(lines, path+" -> "+n.Target())
		default:
			text, err := tree.ReadAll(n.Inode().Blob(), 100)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, path+" = "+string(text))
		}
	}
	return lines
}

func TestOverlay(t *testing.T) {
	for _, test := range []struct {
		name               string
		first, later, want []string
	}{
		{"a file replaces a file", []string{"/etc/motd = a"}, []string{"/etc/motd = b"}, []string{"/etc/motd = b"}},
		{"a symlink replaces a file", []string{"/etc/motd = a"}, []string{"/etc/motd -> x"}, []string{"/etc/motd -> x"}},
		{"a file replaces a symlink, and not what that leads to", []string{"/a = a", "/b -> a"}, []string{"/b = b"}, []string{"/a = a", "/b = b"}},
		{"a symlink replaces an empty directory", []string{"/var/run/"}, []string{"/var/run -> ../run"}, []string{"/var/run -> ../run"}},
		{"a directory replaces a file", []string{"/x = a"}, []string{"/x/", "/x/y = b"}, []string{"/x/y = b"}},
		{"a directory replaces a symlink to nothing", []string{"/x -> nowhere"}, []string{"/x/", "/x/y = b"}, []string{"/x/y = b"}},
		{"a directory replaces a symlink to a file", []string{"/f = f", "/x -> f"}, []string{"/x/"}, []string{"/f = f", "/x/"}},
		{"a symlink to a directory stays", []string{"/usr/lib/a = a", "/lib -> usr/lib"}, []string{"/lib/", "/lib/b = b"},
			[]string{"/lib -> usr/lib", "/usr/lib/a = a", "/usr/lib/b = b"}},
		{"so does one above the path", []string{"/usr/lib/", "/lib -> usr/lib"}, []string{"/lib/x/y = b"}, []string{"/lib -> usr/lib", "/usr/lib/x/y = b"}},
		{"an absolute one and .. begin at the top", []string{"/usr/lib/", "/a/b -> /usr/../../usr/lib"}, []string{"/a/b/c = c"},
			[]string{"/a/b -> /usr/../../usr/lib", "/usr/lib/c = c"}},
		{"a missing directory behind a symlink", []string{"/usr/lib/", "/lib -> usr/lib"}, []string{"/lib/x/y/z = b"},
			[]string{"/lib -> usr/lib", "/usr/lib/x/y/z = b"}},
		{"a symlink through another one", []string{"/usr/lib/", "/lib -> usr/lib", "/l -> lib/."}, []string{"/l/c = c"},
			[]string{"/l -> lib/.", "/lib -> usr/lib", "/usr/lib/c = c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := tree.NewBuilder(attr)
			if err := addLines(b, false, "first", test.first...); err != nil {
				t.Fatal(err)
			}
			if err := addLines(b, true, "later", test.later...); err != nil {
				t.Fatal(err)
			}
			if got := linesOf(t, b); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// A tree that is added as one node is merged in the same way.
func TestOverlayTree(t *testing.T) {
	b := tree.NewBuilder(attr)
	if err := addLines(b, false, "first", "/usr/lib/a = a", "/lib -> usr/lib", "/etc/passwd = root"); err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) *tree.Node { return tree.NewFile(name, attr, tree.Text(text)) }
	dir := func(name string, nodes ...*tree.Node) *tree.Node {
		return tree.NewDir(name, &tree.Attr{Mode: 0o700}, nodes)
	}
	if err := b.Overlay("/", dir("", dir("lib", file("a", "A"), file("b", "B")), dir("etc", file("passwd", "alice"))), "later"); err != nil {
		t.Fatal(err)
	}
	if mode := b.Find("/usr/lib").Attr.Mode; mode != 0o700 {
		t.Errorf("/usr/lib has mode %o; a directory has the attributes that were stated last", mode)
	}
	want := []string{"/etc/passwd = alice", "/lib -> usr/lib", "/usr/lib/a = A", "/usr/lib/b = B"}
	if got := linesOf(t, b); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOverlayKeepsFullDirectories(t *testing.T) {
	b := tree.NewBuilder(attr)
	err := errors.Join(addLines(b, false, "first", "/usr/bin/sh = x"), addLines(b, true, "later", "/usr/bin -> ../bin"))
	var conflict *tree.Conflict
	if !errors.As(err, &conflict) || conflict.Path != "/usr/bin" || conflict.Second != "later" {
		t.Errorf("a symlink in place of a directory with files: %v", err)
	}
}

// A symlink to nothing is no way to anything.
func TestOverlayBehindNothing(t *testing.T) {
	for _, target := range []string{"nowhere/../etc", "x", "/nowhere"} {
		b := tree.NewBuilder(attr)
		err := errors.Join(addLines(b, false, "first", "/x -> "+target), addLines(b, true, "later", "/x/y/z = a"))
		var conflict *tree.Conflict
		if !errors.As(err, &conflict) || conflict.Reason != "/x is a symlink, not a directory" {
			t.Errorf("below a symlink to %s: %v", target, err)
		}
	}
}

// Hard links to what is replaced keep the earlier content, and remain one file.
func TestOverlayHardLink(t *testing.T) {
	b := tree.NewBuilder(attr)
	first := tree.NewFile("", attr, tree.Text("old"))
	err := errors.Join(b.Add("/a", first, ""), b.Add("/b", tree.NewLink("", first), ""), b.Add("/d/c", tree.NewLink("", first), ""),
		b.Overlay("/a", tree.NewFile("", attr, tree.Text("new")), ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := linesOf(t, b), []string{"/a = new", "/b = old", "/d/c = old"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConflictsAtOnce(t *testing.T) {
	b := tree.NewBuilder(attr)
	var nodes []*tree.Node
	for i := range 40 {
		name := fmt.Sprintf("f%02d", i)
		nodes = append(nodes, tree.NewFile(name, attr, tree.Text("")))
		if err := addLines(b, false, "first", "/"+name+" = x"); err != nil {
			t.Fatal(err)
		}
	}
	var all *tree.Conflicts
	err := b.Add("/", tree.NewDir("", attr, append(nodes, tree.NewFile("new", attr, tree.Text("")))), "second")
	if !errors.As(err, &all) || len(all.List) != 16 || all.More != 24 || all.List[1].Path != "/f01" || all.List[1].First != "first" {
		t.Errorf("40 files twice: %v", err)
	}
	if b.Find("/new") == nil {
		t.Errorf("what is no conflict is not added")
	}
}

func TestGlob(t *testing.T) {
	b := tree.NewBuilder(attr)
	err := addLines(b, false, "", "/boot/vmlinuz-6.1 = k", "/boot/vmlinuz-6.2 = k", "/boot/.vmlinuz-old = k", "/vmlinuz -> boot/vmlinuz-6.2", "/loop -> loop",
		"/kernels -> boot", "/dangling -> boot/x", "/boot/[a] = x")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"/boot/vmlinuz-*":     "/boot/vmlinuz-6.1 /boot/vmlinuz-6.2",
		"/kernels/vmlinuz-*1": "/boot/vmlinuz-6.1",
		"/vmlinuz":            "/boot/vmlinuz-6.2",
		"/v*":                 "/boot/vmlinuz-6.2",
		"/*/vmlinuz-6.[2-9]":  "/boot/vmlinuz-6.2",
		"/boot/.v*":           "/boot/.vmlinuz-old",
		`/boot/\[a\]`:         "/boot/[a]",
		"/loop":               "", "/loop/x": "", "/dangling": "", "/boot/vmlinuz-6.1/x": "", "/boot/vmlinuz-6.1/*": "", "/../boot/*[": "",
	} {
		var got []string
		for _, w := range b.Glob(pattern) {
			got = append(got, w.Path)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s matches %s, not %s", pattern, text, want)
		}
	}
}
