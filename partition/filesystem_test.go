package partition

import "testing"

// What the properties of a row say and what it refuses agree.
func TestRowsAgreeWithThemselves(t *testing.T) {
	for _, f := range Filesystems {
		_, refusesClosures := f.Refuses["closures"]
		_, refusesVolatile := f.Refuses["volatile"]
		if refusesClosures == f.Store || refusesVolatile == f.Store {
			t.Errorf("%s holds a store: %v; it refuses closures: %v, volatile: %v", f.Name, f.Store, refusesClosures, refusesVolatile)
		}
		for key, has := range map[string]bool{
			"label": f.CheckLabel != nil, "uuid": f.CheckID != nil, "engine": f.Engines != nil, "features": f.CheckFeatures != nil,
			"content": f.Raw, "free": f.Writable, "file": f.HasFiles(), "dir": f.HasFiles(), "tree": f.HasFiles(),
		} {
			if _, refused := f.Refuses[key]; refused == has {
				t.Errorf("%s has a %s: %v; it refuses the key: %v", f.Name, key, has, refused)
			}
		}
		if f.DefaultLabel != nil {
			if label := f.DefaultLabel("An image-1.0", "a partition"); f.CheckLabel(label) != nil {
				t.Errorf("%s: the default label %q is refused: %v", f.Name, label, f.CheckLabel(label))
			}
		}
	}
}

// A compressor, its level and the size of blocks are checked each for itself.
func TestCheckCompression(t *testing.T) {
	for _, c := range []struct {
		name         string
		level, block int64
		wrong        [3]bool
	}{
		{"", 0, 0, [3]bool{}},
		{"zstd", 22, 4096, [3]bool{}},
		{"zstd", 23, 1 << 20, [3]bool{false, true, false}},
		{"gzip", 10, 1 << 21, [3]bool{false, true, true}},
		{"xz", 1, 2048, [3]bool{false, true, true}},
		{"lz4", 0, 12288, [3]bool{false, false, true}},
		{"lzma", 5, 0, [3]bool{true, false, false}},
		{"", -1, -4096, [3]bool{false, true, true}},
	} {
		a, b, d := squashfsFilesystem.CheckCompression(c.name, c.level, c.block)
		if got := [3]bool{a != nil, b != nil, d != nil}; got != c.wrong {
			t.Errorf("%+v: %v, %v, %v", c, a, b, d)
		}
	}
}
