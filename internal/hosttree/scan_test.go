package hosttree

import (
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/tree"
)

func TestReadFindsEverything(t *testing.T) {
	top := t.TempDir()
	items := grow(t, top, 5)
	s := Scanner{FilesOnly: true}
	for _, item := range items {
		got, err := s.Read(item)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]tree.Kind{}
		for path, n := range tree.Walk(item, got) {
			seen[path] = n.Kind()
		}
		err = filepath.Walk(item, func(path string, info os.FileInfo, err error) error {
			if kind, ok := seen[path]; !ok || (kind == tree.Dir) != info.IsDir() {
				t.Errorf("%s: found %v, a %v", path, ok, kind)
			}
			delete(seen, path)
			return err
		})
		if err != nil || len(seen) > 0 {
			t.Errorf("%v, and %v is not there", err, seen)
		}
	}
}
