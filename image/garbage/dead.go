package garbage

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"imprint/closure"
)

// Dead returns the paths that a collection would remove, sorted: what is in the store directory, or valid, and not alive. Alive is what a root leads to,
// with the derivations that have made it (keep-derivations, the default), and what those refer to.
func (s *Store) Dead() ([]string, error) {
	roots, err := s.Roots()
	if err != nil {
		return nil, err
	}
	alive := s.alive(roots)
	entries, err := os.ReadDir(s.Prefix + s.Flavor.StoreDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var dead []string
	for _, e := range entries {
		if p := s.Flavor.StoreDir + "/" + e.Name(); e.Name() != closure.LinksDir && !alive[p] {
			dead = append(dead, p)
		}
	}
	for _, info := range s.Infos {
		if p := info.Path.String(); !alive[p] {
			dead = append(dead, p)
		}
	}
	slices.Sort(dead)
	return slices.Compact(dead), nil
}

// alive returns the paths that roots keep.
func (s *Store) alive(roots []Root) map[string]bool {
	infos := make(map[string]*closure.Info, len(s.Infos))
	for _, info := range s.Infos {
		infos[info.Path.String()] = info
	}
	alive := map[string]bool{}
	var queue []string
	for _, r := range roots {
		queue = append(queue, r.Item.String())
	}
	for len(queue) > 0 {
		p := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		info := infos[p]
		if alive[p] || info == nil {
			continue
		}
		alive[p] = true
		for _, r := range info.References {
			queue = append(queue, r.String())
		}
		queue = append(queue, info.Deriver)
	}
	return alive
}
