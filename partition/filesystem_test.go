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
			"content": f.Raw, "free": f.Writable, "file": !f.Raw, "dir": !f.Raw, "tree": !f.Raw,
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
