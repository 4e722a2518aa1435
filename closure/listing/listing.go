// Package listing reads and writes the listings of a binary cache (.ls, nar-accessor.cc): JSON texts that say which files an archive has, and where. Caches have
// them if they were made with write-nar-listing=true.
//
//	{"version": 1, "root": NODE}
//	NODE = {"type": "regular", "size": 3, "executable": true, "narOffset": 400}
//	     | {"type": "symlink", "target": "…"} | {"type": "directory", "entries": {"NAME": NODE, …}}
package listing

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// MaxSize is the maximum size of a text in bytes.
const MaxSize = 256 << 20

// Suffix ends the names of listings, after the digits of a store path.
const Suffix = ".ls"

// node is a node of the text.
type node struct {
	Type       string           `json:"type"`
	Size       int64            `json:"size"`
	Executable bool             `json:"executable"`
	Target     string           `json:"target"`
	Entries    map[string]*node `json:"entries"`
}

// kinds are the types by their names.
var kinds = map[string]tree.Kind{"regular": tree.File, "symlink": tree.Symlink, "directory": tree.Dir}

// Parse reads a text. Offsets in it are ignored: they follow from the sizes. So an archive whose files are not those of the listing has another
// hash than the tree that the listing gives. Nix writes names as they are, even those that are not UTF-8, which JSON cannot have: such texts are refused.
func Parse(text []byte) (*nar.Shape, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not a listing: it is not valid UTF-8")
	}
	var all struct {
		Version int   `json:"version"`
		Root    *node `json:"root"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("not a listing: %v", err)
	}
	if all.Version != 1 {
		return nil, fmt.Errorf("version %d is not supported, only 1 is", all.Version)
	}
	s, err := all.Root.shape("")
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// shape converts a node. Directories in each other are as deep as JSON may be nested.
func (n *node) shape(name string) (s nar.Shape, err error) {
	if n == nil {
		return s, fmt.Errorf("%.100q is null", name)
	}
	kind, ok := kinds[n.Type]
	if !ok {
		return s, fmt.Errorf("%.100q has the unknown type %.40q", name, n.Type)
	}
	s = nar.Shape{Name: name, Kind: kind, Executable: n.Executable, Size: n.Size, Target: n.Target}
	for _, k := range slices.Sorted(maps.Keys(n.Entries)) {
		e, err := n.Entries[k].shape(k)
		if err != nil {
			return s, err
		}
		s.Entries = append(s.Entries, e)
	}
	return s, nil
}
