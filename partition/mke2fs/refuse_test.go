package mke2fs

import (
	"fmt"
	"strings"
	"testing"

	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

func TestRefusals(t *testing.T) {
	with := func(a tree.Attr) *tree.Node { return tree.NewFile("", &a, tree.Text("")) }
	xattr := func(name, value string) *tree.Node {
		return with(tree.Attr{Xattrs: []tree.Xattr{{Name: name, Value: []byte(value)}}})
	}
	for _, c := range []struct {
		path string
		node *tree.Node
		want string
	}{
		{"/a/new\nline", with(tree.Attr{}), `"/a/new\nline": name has a '\n'`},
		{"/a/re\rturn", with(tree.Attr{}), `"/a/re\rturn": name has a '\r'`},
		{"/l", tree.NewSymlink("", store, "a\nb"), `/l: link target has a '\n'`},
		{"/l", tree.NewSymlink("", store, "a\x00b"), `/l: link target has a '\x00'`},
		{"/l", tree.NewSymlink("", store, ""), "/l: link target of 0 bytes"},
		{"/l", tree.NewSymlink("", store, strings.Repeat("x", 4096)), "/l: link target of 4096 bytes, 1 to 4095"},
		{"/l", tree.NewSymlink("", store, strings.Repeat(`"`, 4095)), "/l: link target takes 8192 bytes in a debugfs script, 7591"},
		{"/t", with(tree.Attr{Mtime: tree.Time{Sec: maxTime + 1}}), "/t: time 10737418240.000000000 is not between"},
		{"/t", with(tree.Attr{Mtime: tree.Time{Sec: minTime - 1}}), "/t: time -2147483649"},
		{"/t", with(tree.Attr{Mtime: tree.Time{Nsec: 1e9}}), "/t: time 0.1000000000"},
		{"/x", xattr("other.name", ""), `/x: extended attribute "other.name": ext4 cannot store`},
		{"/x", xattr("user.", ""), `/x: extended attribute "user.": ext4 cannot store`},
		{"/x", xattr("user", ""), `/x: extended attribute "user": ext4 cannot store`},
		{"/x", xattr("user.a\nb", ""), `/x: name of an extended attribute has a '\n'`},
		{"/x", xattr("user.long", strings.Repeat("v", 4060)), "/x: extended attributes of 4080 bytes, a block has room for 4060"},
		{"/d", tree.NewDevice("", store, tree.CharDevice, tree.Device{Major: 4096}), "/d: device number 4096:0"},
		{"/d", tree.NewDevice("", store, tree.BlockDevice, tree.Device{Minor: 1 << 20}), "/d: device number 0:1048576"},
		{"/lost+found", with(tree.Attr{}), "/lost+found: is a file; mke2fs makes a directory there"},
		{"/big", tree.NewFile("", store, onHost{"/none", 1 << 44}), "/big: 17592186044416 bytes"},
	} {
		b := tree.NewBuilder(store)
		if err := b.Add(c.path, c.node, ""); err != nil {
			t.Fatal(err)
		}
		tr, err := b.Tree()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(tr, options(partitiontest.Options{})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.path, err, c.want)
		}
	}
}

func TestRefusesTooManyLinks(t *testing.T) {
	build := func(links int) *tree.Tree {
		return tightTree{"links", func(add func(string, *tree.Node)) {
			f := tree.NewFile("", store, tree.Text("x"))
			add("/file", f)
			for i := range links - 1 {
				add(fmt.Sprintf("/links/%d", i), tree.NewLink("", f))
			}
		}}.tree(t)
	}
	if _, err := New(build(65_000), options(partitiontest.Options{})); err != nil {
		t.Errorf("65,000 names: %v", err)
	}
	if _, err := New(build(65_001), options(partitiontest.Options{})); err == nil || !strings.Contains(err.Error(), "more than 65000 names") {
		t.Errorf("65,001 names: %v", err)
	}
}

func TestRefusesOptions(t *testing.T) {
	tr := tightTree{"empty", func(func(string, *tree.Node)) {}}.tree(t)
	for want, change := range map[string]func(*Options){
		"no UUID":                      func(o *Options) { o.UUID = repro.UUID{} },
		"no hash seed":                 func(o *Options) { o.HashSeed = repro.UUID{} },
		"has 17 bytes; it can have 16": func(o *Options) { o.Label = strings.Repeat("l", 17) },
		"and no NUL":                   func(o *Options) { o.Label = "a\x00b" },
		"size -1":                      func(o *Options) { o.Size = -1 },
		"free -1 bytes":                func(o *Options) { o.Free = -1 },
		"free -1 inodes":               func(o *Options) { o.FreeInodes = -1 },
		"16 TiB":                       func(o *Options) { o.Size = 1 << 44 },
		"epoch 10737418240":            func(o *Options) { o.Epoch = maxTime + 1 },
		"1 MiB (1048576 bytes) may be": func(o *Options) { o.Size = 1 << 20 },
		"both must be below 2^32":      func(o *Options) { o.FreeInodes = 1<<32 - 1 },
	} {
		o := options(partitiontest.Options{Epoch: 1})
		change(&o)
		if _, err := New(tr, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}
