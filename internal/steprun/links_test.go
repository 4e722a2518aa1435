package steprun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/tree"
)

// The links of a tree lead nowhere but into the tree, whatever is given at paths through them: nothing of the host is read or changed.
func TestLinks(t *testing.T) {
	b := newBench(t)
	host := t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "victim"), []byte("unharmed"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := func(path, target string) layer.Entry {
		return layer.Entry{Path: path, Node: tree.NewSymlink("", attr(0o777), target)}
	}
	var entries []layer.Entry
	for path, n := range b.below.Walk() {
		entries = append(entries, layer.Entry{Path: path, Node: n})
	}
	for dir := host; dir != "/"; dir = filepath.Dir(dir) {
		entries = append(entries, layer.Entry{Path: dir, Node: tree.NewDir("", attr(0o755), nil)})
	}
	links, err := layer.New(append(entries, link("/abs", host), link("/up", strings.Repeat("../", 20)+host[1:]), link("/both", "/up"),
		link("/round", "/round"), link("/nowhere", "/none/at/all")))
	if err != nil {
		t.Fatal(err)
	}
	b.below = b.on(objects.Digest{3}, nil, links)
	file := tree.NewFile("", attr(0o644), tree.Text("given\n"))
	for _, through := range []string{"/abs", "/up", "/both"} {
		s := script("cat " + through + "/in; cat " + through + "/victim 2>/dev/null; echo x >" + through + "/victim; echo x >" + through + "/c/x")
		s.Inputs = []Input{{Target: through + "/in", File: file, Digest: "1"}}
		s.Caches = []Cache{{"c", through + "/c"}}
		r, err := b.do(s)
		if err != nil {
			b.output()
			t.Errorf("%s: %v", through, err)
			continue
		}
		if got := words(r.Layer); !strings.HasSuffix(got, host+"/victim") || b.output() != "given\n" {
			t.Errorf("%s: it has made %s", through, got)
		}
	}
	for through, want := range map[string]string{"/round": "too many levels of symbolic links", "/nowhere": "/nowhere is a symlink to what is not in the tree"} {
		s := script("true")
		s.Inputs = []Input{{Target: through + "/in", File: file, Digest: "1"}}
		if _, err := b.do(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", through, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(host, "victim")); err != nil || string(text) != "unharmed" {
		t.Errorf("%q, %v", text, err)
	}
	if names, err := os.ReadDir(host); err != nil || len(names) != 1 {
		t.Errorf("the host's directory has %v, %v", names, err)
	}
}
