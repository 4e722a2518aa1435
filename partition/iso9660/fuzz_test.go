package iso9660

import (
	"strings"
	"testing"

	"imprint/internal/tree"
)

// FuzzWriter lays out a directory of names, each a link to one target, a file or a directory: it is refused, or read back as it was.
func FuzzWriter(f *testing.F) {
	f.Add("a/b/A.b/"+strings.Repeat("n", 250)+"/", "../x//y/", uint16(0o4755), int64(1), uint32(0))
	f.Add(strings.Repeat("name/", 3)+"a.b", strings.Repeat("t", 4095), uint16(0), int64(minTime), uint32(7))
	for _, target := range targets {
		f.Add("link", target, uint16(0o777), int64(maxTime), uint32(1000))
	}
	f.Fuzz(func(t *testing.T, names, target string, mode uint16, mtime int64, id uint32) {
		attr := &tree.Attr{Mode: mode & 0o7777, UID: id, GID: id / 2, Mtime: tree.Time{Sec: mtime}}
		var nodes []*tree.Node
		seen := map[string]bool{}
		for i, name := range strings.Split(names, "/") {
			if tree.CheckName(name) != nil || seen[name] || i == 200 {
				continue
			}
			seen[name] = true
			switch i % 4 {
			case 0, 1:
				nodes = append(nodes, tree.NewSymlink(name, attr, target))
			case 2:
				nodes = append(nodes, tree.NewFile(name, attr, tree.Text(target)))
			case 3:
				nodes = append(nodes, tree.NewDir(name, attr, nil))
			}
		}
		tr := build(t, map[string]*tree.Node{"/": tree.NewDir("", attr, nodes)})
		p, err := New(tr, testOptions())
		if (err != nil) != (Check(tr) != nil) {
			t.Fatalf("New: %v, Check: %v", err, Check(tr))
		}
		if err == nil {
			same(t, p, tr)
		}
	})
}
