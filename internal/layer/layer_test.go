package layer

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/tree"

	"pgregory.net/rapid"
)

var attr = &tree.Attr{Mode: 0o640, UID: 1, GID: 2, Mtime: tree.Time{Sec: 3, Nsec: 4}}

func file(content string) *tree.Node {
	return tree.NewFile("", attr, pinned(content))
}

func pinned(content string) tree.Blob {
	return tree.Pinned(tree.Text(content), sha256.Sum256([]byte(content)))
}

func dir() *tree.Node { return tree.NewDir("", attr, nil) }

// listed reads entries from lines: "PATH", "PATH/" for a directory, "PATH -> TARGET", "PATH = OTHER" for a hard link, "PATH: CONTENT".
func listed(t testing.TB, text string) *Layer {
	t.Helper()
	var entries []hosttree.Entry
	nodes := map[string]*tree.Node{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		path, content, _ := strings.Cut(line, ": ")
		n := file(content)
		if at, target, ok := strings.Cut(line, " -> "); ok {
			path, n = at, tree.NewSymlink("", attr, target)
		}
		if at, other, ok := strings.Cut(line, " = "); ok {
			path, n = at, tree.NewLink("", nodes[other])
		}
		if at, ok := strings.CutSuffix(line, "/"); ok {
			path, n = at, dir()
		}
		if path == "" {
			path = "/"
		}
		nodes[path] = n
		entries = append(entries, hosttree.Entry{Path: path, Node: n})
	}
	l, err := Of(entries)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// shown lists a tree in the form of listed.
func shown(tr *tree.Tree) string {
	var b strings.Builder
	for path, n := range tr.Walk() {
		switch n.Kind() {
		case tree.Dir:
			path = strings.TrimSuffix(path, "/") + "/"
		case tree.Symlink:
			path += " -> " + n.Target()
		case tree.Link:
			path += " = " + n.Inode().Name
		case tree.File:
			text, _ := tree.ReadAll(n.Blob(), 1<<20)
			path += ": " + string(text)
		}
		fmt.Fprintf(&b, "%s\n", path)
	}
	return b.String()
}

// Layers lie on one another as those of OCI images and of overlayfs do.
func TestPut(t *testing.T) {
	for name, test := range map[string]struct{ lower, upper, want string }{
		"replaced":        {"/a: 1\n/b: 1\n", "/a: 2\n", "/ /a:2 /b:1"},
		"whiteout":        {"/a: 1\n/b: 1\n", "/.wh.a\n", "/ /b:1"},
		"of a directory":  {"/d/\n/d/a: 1\n/d/e/f: 2\n", "/.wh.d\n", "/"},
		"of nothing":      {"/a: 1\n", "/.wh.x\n/d/.wh.y\n", "/ /a:1"},
		"lower only":      {"/a: 1\n", "/.wh.a\n/a: 2\n", "/ /a:2"},
		"lower only, dir": {"/a/\n/a/old: 1\n", "/a/\n/a/new: 2\n/.wh.a\n", "/ /a/ /a/new:2"},
		"opaque":          {"/d/\n/d/a: 1\n/d/b/c: 1\n/e: 1\n", "/d/\n/d/.wh..wh..opq\n/d/x: 2\n", "/ /d/ /d/x:2 /e:1"},
		"opaque top":      {"/a: 1\n/d/b: 1\n", "/\n/.wh..wh..opq\n/x: 2\n", "/ /x:2"},
		"file for dir":    {"/d/\n/d/a: 1\n", "/d: 2\n", "/ /d:2"},
		"dir for file":    {"/d: 1\n", "/d/\n/d/a: 2\n", "/ /d/ /d/a:2"},
		"dir for symlink": {"/u/l/a: 1\n/l -> u/l\n", "/l/\n/l/b: 2\n", "/ /l/ /l/b:2 /u/ /u/l/ /u/l/a:1"},
		"through symlink": {"/u/l/a: 1\n/l -> u/l\n", "/l/b: 2\n/l/.wh.a\n", "/ /l->u/l /u/ /u/l/ /u/l/b:2"},
		"symlinks out":    {"/u/a: 1\n/l -> ../../../u\n", "/l/b: 2\n", "/ /l->../../../u /u/ /u/a:1 /u/b:2"},
		"absolute link":   {"/u/a: 1\n/l -> /u\n/m -> l\n", "/m/.wh.a\n", "/ /l->/u /m->l /u/"},
		"link replaced":   {"/a: 1\n/b = /a\n/c = /a\n", "/a: 2\n", "/ /a:2 /b:1 /c=b"},
		"link removed":    {"/d/a: 1\n/b = /d/a\n", "/.wh.d\n", "/ /b:1"},
		"aufs":            {"/a: 1\n", "/.wh..wh.plnk\n", "/ /a:1"},
		"new link":        {"/z: 1\n", "/z: 2\n/b = /z\n", "/ /b:2 /z=b"},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := Tree([]*Layer{listed(t, test.lower), listed(t, test.upper)}, attr)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.NewReplacer(": ", ":", " -> ", "->", " = ", "=").Replace(shown(tr))
			if got = strings.Join(strings.Split(strings.TrimSuffix(got, "\n"), "\n"), " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	link := tree.NewLink("", file(""))
	for want, entries := range map[string][]Entry{
		"/a is there twice":                                      {{Path: "/a", Node: dir()}, {Path: "/a"}},
		"/a/b is below /a, which is no directory":                {{Path: "/a", Node: file("")}, {Path: "/a/b", Node: file("")}},
		"/a/b/c is below /a, which is no directory":              {{Path: "/a"}, {Path: "/a/b/c", Node: file("")}},
		"/: the top cannot be removed":                           {{Path: "/"}},
		"/: is a file":                                           {{Path: "/", Node: file("")}},
		"/f: is an opaque file":                                  {{Path: "/f", Node: file(""), Opaque: true}},
		"/l is a hard link to what is no file of the layer":      {{Path: "/l", Node: link}},
		"/../x: is not the path of an entry\nname \"..\"":        {{Path: "/../x", Node: dir()}},
		"/x: has no attributes":                                  {{Path: "/x", Node: tree.NewDir("", nil, nil)}},
		"/x: is opaque and gone":                                 {{Path: "/x", Opaque: true}},
		"/x: time 0 has 1000000000 nanoseconds, a second has 10": {{Path: "/x", Node: tree.NewDir("", &tree.Attr{Mtime: tree.Time{Nsec: 1e9}}, nil)}},
	} {
		if _, err := New(entries); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, path := range []string{"/.wh.", "/.wh..", "/a/.wh...", "/.wh.x/y"} {
		if _, err := Of([]hosttree.Entry{{Path: path, Node: file("")}}); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
	redirect := &tree.Attr{Xattrs: []tree.Xattr{{Name: "trusted.overlay.redirect", Value: []byte("/x")}}}
	if _, err := Of([]hosttree.Entry{{Path: "/d", Node: tree.NewDir("", redirect, nil)}}); err == nil || !strings.Contains(err.Error(), "redirect_dir=off") {
		t.Errorf("a redirect is taken: %v", err)
	}
}

// A lower file in the way of a parent is an error, not a replacement.
func TestParentIsFile(t *testing.T) {
	_, err := Tree([]*Layer{listed(t, "/a: 1\n"), listed(t, "/a/b: 2\n")}, attr)
	if err == nil || !strings.Contains(err.Error(), "/a is a file, not a directory") {
		t.Errorf("got %v", err)
	}
}

// Marks of overlayfs are understood and are not in the layer.
func TestOverlayMarks(t *testing.T) {
	opaque := &tree.Attr{Mode: 0o755, Xattrs: []tree.Xattr{{Name: "user.kept", Value: []byte("v")}, {Name: "user.overlay.opaque", Value: []byte("y")}}}
	gone := tree.NewDevice("", attr, tree.CharDevice, tree.Device{})
	l, err := Of([]hosttree.Entry{
		{Path: "/d", Node: tree.NewDir("", opaque, nil)},
		{Path: "/gone", Node: gone},
		{Path: "/gone-too", Node: tree.NewLink("", gone)},
		{Path: "/null", Node: tree.NewDevice("", attr, tree.CharDevice, tree.Device{Major: 1, Minor: 3})},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.Record()
	const want = version + `opaque 0755 0:0 0.000000000 "/d"
xattr "user.kept" 76
gone "/gone"
gone "/gone-too"
char 0640 1:2 3.000000004 "/null" 1:3
`
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s", err, text)
	}
}

// content is what a record's files have in tests.
func content(_ string, f File) (tree.Blob, error) {
	b := tree.Text("")
	if f.Size > 0 {
		b = tree.Slice(tree.Text("x"), 0, f.Size)
	}
	if f.Data != nil {
		b = tree.Sparse(b, f.Data)
	}
	return tree.Pinned(b, f.Pin), nil
}

// The order of entries makes no difference, and a record becomes the layer again.
func TestRecord(t *testing.T) {
	const text = "/b: 1\n/a = /b\n/d/\n/d/.wh..wh..opq\n/d/x: 2\n/d-e\n/.wh.gone\n/l -> \xff\n/ü\n"
	l := listed(t, text)
	record, err := l.Record()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`link "/b" "/a"`, `gone "/gone"`, `opaque 0640 1:2 3.000000004 "/d"`, `symlink 0640 1:2 3.000000004 "/l" "\xff"`} {
		if !strings.Contains(string(record), line+"\n") {
			t.Errorf("no line %s in\n%s", line, record)
		}
	}
	again, err := Parse(record, content)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := l.Digest()
	b, errB := again.Digest()
	if a != b || errA != nil || errB != nil {
		t.Errorf("%x and %x, %v, %v", a, b, errA, errB)
	}
	sparse := tree.NewFile("", attr, tree.Pinned(tree.Sparse(tree.Slice(tree.Text("x"), 0, 1<<20), []tree.Range{{Off: 65536, Len: 10}, {Off: 200000, Len: 1}}), tree.Pin{1}))
	s, err := New([]Entry{{Path: "/s", Node: sparse}})
	if err != nil {
		t.Fatal(err)
	}
	if record, err = s.Record(); err != nil || !strings.HasSuffix(string(record), " 65536+10,200000+1\n") {
		t.Errorf("%v %s", err, record)
	}
	if _, err := Parse(record, content); err != nil {
		t.Error(err)
	}
}

// No text makes the parser fail in another way than with an error, and what it takes is canonical.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"/b: 1\n/a = /b\n/d/\n/d/.wh..wh..opq\n/d/x: 2\n/.wh.gone\n/l -> t\n", "/\n/x\n"} {
		record, err := listed(f, text).Record()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Add([]byte(version + "file 0644 0:0 1.000000000 \"/a\" 65537 " + strings.Repeat("00", 32) + " 65536+1\n"))
	f.Add([]byte(version + "char 0644 0:0 1.000000000 \"/a\" 1:2\nxattr \"user.a\" 00\n"))
	f.Add([]byte(version + "link \"/a\" \"/b\"\n"))
	hosttest.Fuzz(f, func(t *testing.T, text []byte) {
		l, err := Parse(text, content)
		if err != nil {
			return
		}
		again, err := l.Record()
		if err != nil || string(again) != string(text) {
			t.Fatalf("%v: %q became %q", err, text, again)
		}
		if _, err := Tree([]*Layer{l, l}, attr); err == nil {
			return
		}
	})
}

// A model of a stack of layers: a map of paths, without links.
func TestStack(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c"})
	hosttest.Check(t, func(t *rapid.T) {
		model := map[string]string{} // content of a file, "/" of a directory
		remove := func(path string) {
			for p := range model {
				if p == path || strings.HasPrefix(p, path+"/") {
					delete(model, p)
				}
			}
		}
		var layers []*Layer
		for range rapid.IntRange(1, 4).Draw(t, "layers") {
			entries := map[string]Entry{}
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				path, n := "", rapid.IntRange(1, 3).Draw(t, "depth")
				for range n - 1 {
					path += "/" + names.Draw(t, "dir")
					if e, has := entries[path]; has && (e.Node == nil || e.Node.Kind() != tree.Dir) {
						break
					} else if !has {
						entries[path] = Entry{Path: path, Node: dir()}
					}
				}
				if path += "/" + names.Draw(t, "name"); path == "" || entries[dirOf(path)].Path == "" && dirOf(path) != "/" {
					continue
				}
				if e := entries[dirOf(path)]; dirOf(path) != "/" && (e.Node == nil || e.Node.Kind() != tree.Dir) {
					continue
				}
				if _, has := entries[path]; has {
					continue
				}
				switch rapid.IntRange(0, 3).Draw(t, "what") {
				case 0:
					entries[path] = Entry{Path: path}
				case 1:
					entries[path] = Entry{Path: path, Node: dir(), Opaque: true}
				default:
					entries[path] = Entry{Path: path, Node: file(rapid.StringN(0, 3, 3).Draw(t, "content"))}
				}
			}
			var list []Entry
			for _, e := range entries {
				list = append(list, e)
			}
			l, err := New(list)
			if err != nil {
				t.Fatal(err)
			}
			layers = append(layers, l)
			for _, e := range l.Entries() { // parents first
				isDir := e.Node != nil && e.Node.Kind() == tree.Dir
				if !isDir || e.Opaque || model[e.Path] != "/" {
					remove(e.Path)
				}
				switch {
				case isDir:
					model[e.Path] = "/"
				case e.Node != nil:
					text, _ := tree.ReadAll(e.Node.Blob(), 10)
					model[e.Path] = "=" + string(text)
				}
			}
		}
		tr, err := Tree(layers, attr)
		if err != nil {
			t.Fatal(err)
		}
		if tr.Len() != len(model)+1 {
			t.Errorf("%d nodes, want %d", tr.Len()-1, len(model))
		}
		for path, want := range model {
			n := tr.Find(path)
			if n == nil {
				t.Errorf("%s is missing", path)
				continue
			}
			got := "/"
			if n.Kind() == tree.File {
				text, _ := tree.ReadAll(n.Blob(), 10)
				got = "=" + string(text)
			}
			if got != want {
				t.Errorf("%s is %q, want %q", path, got, want)
			}
		}
	})
}

// What a program did not change is not in the layer of its writes, and owners that the host does not have are kept.
func TestOver(t *testing.T) {
	lower, err := Tree([]*Layer{listed(t, "/d/\n/d/same: 1\n/d/changed: 1\n/d/old: 1\n/l -> d\n")}, attr)
	if err != nil {
		t.Fatal(err)
	}
	host := &tree.Attr{Mode: 0o640, UID: 1000, GID: 1000, Mtime: tree.Time{Sec: 99}}
	upper, err := New([]Entry{
		{Path: "/", Node: tree.NewDir("", host, nil)},
		{Path: "/d", Node: tree.NewDir("", host, nil)},
		{Path: "/d/same", Node: tree.NewFile("", host, pinned("1"))},
		{Path: "/d/changed", Node: tree.NewFile("", host, pinned("2"))},
		{Path: "/d/new", Node: tree.NewFile("", host, pinned("3"))},
		{Path: "/d/old"}, {Path: "/never"},
		{Path: "/n", Node: tree.NewDir("", host, nil), Opaque: true},
		{Path: "/n/x", Node: tree.NewDir("", host, nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := upper.Over(lower, Settings{Mtime: tree.Time{Sec: 7}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.Record()
	want := version + fmt.Sprintf(`file 0640 1:2 7.000000000 "/d/changed" 1 %x
file 0640 0:0 7.000000000 "/d/new" 1 %x
gone "/d/old"
opaque 0640 0:0 7.000000000 "/n"
dir 0640 0:0 7.000000000 "/n/x"
`, sha256.Sum256([]byte("2")), sha256.Sum256([]byte("3")))
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, text, want)
	}
}

func TestChanges(t *testing.T) {
	a, errA := Tree([]*Layer{listed(t, "/d/\n/d/a: 1\n/d/b: 1\n/e/x: 1\n/f: 1\n")}, attr)
	b, errB := Tree([]*Layer{listed(t, "/d/\n/d/a: 2\n/d/b: 1\n/f/\n/f/y: 1\n/g/z: 1\n")}, attr)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	var list []string
	for _, c := range Changes(a, b) {
		list = append(list, fmt.Sprintf("%s %v %v", c.Path, c.Old != nil, c.New != nil))
	}
	const want = "/d/a true true, /e true false, /f true true, /g false true"
	if got := strings.Join(list, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Thousands of whiteouts in one directory take no quadratic time.
func TestManyWhiteouts(t *testing.T) {
	const n = 100_000
	var lower, upper []Entry
	for i := range n {
		path := fmt.Sprintf("/d/%d", i)
		lower = append(lower, Entry{Path: path, Node: file("")})
		upper = append(upper, Entry{Path: path})
	}
	a, errA := New(lower)
	b, errB := New(upper)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	tr, err := Tree([]*Layer{a, b}, attr)
	if err != nil || tr.Len() != 2 {
		t.Errorf("%v, %d nodes", err, tr.Len())
	}
}
