// Package garbage finds the GC roots of a store directory on this machine, and what a garbage collection would remove (gc.cc of Nix; Guix's has the same
// results). It removes nothing.
package garbage

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/closure/locks"
)

// A Root protects an item.
type Root struct {
	Link string       `json:"link"` // path of the link or file on this machine; "{temp:PID}" for a temporary root of a running program
	Item closure.Path `json:"item"`
}

// A Store is a store directory: its flavor, the path before it on this machine, and the registration of all that is valid.
type Store struct {
	Flavor closure.Flavor
	Prefix string
	Infos  []*closure.Info
}

// Roots returns the roots of a store whose items are valid, sorted by link and item: in the directories of GC roots and profiles, links that lead into the store or to
// another link that does, and files with the name of an item; and temporary roots of running programs. What cannot be read, or leads to nothing
// valid, is no root. The files and environments of running programs are not searched.
func (s *Store) Roots() ([]Root, error) {
	f := &finder{Store: s, valid: map[closure.Path]bool{}}
	for _, info := range s.Infos {
		f.valid[info.Path] = true
	}
	for _, dir := range []string{s.Flavor.GCRoots(), s.Flavor.Profiles()} {
		if err := f.find(s.Prefix + dir); err != nil {
			return nil, err
		}
	}
	held, err := locks.Held(s.Prefix + s.Flavor.StateDir)
	if err != nil {
		return nil, err
	}
	for name, paths := range held {
		for _, text := range paths {
			f.found("{temp:"+name+"}", text)
		}
	}
	slices.SortFunc(f.roots, func(a, b Root) int { return cmp.Or(cmp.Compare(a.Link, b.Link), a.Item.Compare(b.Item)) })
	return slices.Compact(f.roots), nil
}

// A finder finds roots.
type finder struct {
	*Store
	valid map[closure.Path]bool
	roots []Root
}

// find looks at a path, and at everything below a directory. Only what another user does not let us see, or has just removed, is passed over.
func (f *finder) find(at string) error {
	info, err := os.Lstat(at)
	if err == nil {
		switch info.Mode().Type() {
		case fs.ModeDir:
			err = f.dir(at)
		case fs.ModeSymlink:
			err = f.link(at)
		case 0:
			f.found(at, f.Flavor.StoreDir+"/"+path.Base(at))
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func (f *finder) dir(at string) error {
	entries, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := f.find(at + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// link takes a link into the store, or one to such a link, but follows no further ones.
func (f *finder) link(at string) error {
	target, err := os.Readlink(at)
	if err != nil || f.isIn(target) {
		f.found(at, target)
		return err
	}
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(at), target)
	}
	target = path.Clean(target)
	info, err := os.Lstat(target)
	if err != nil || info.Mode().Type() != fs.ModeSymlink {
		return err
	}
	second, err := os.Readlink(target)
	if err == nil && f.isIn(second) {
		f.found(target, second)
	}
	return err
}

func (f *finder) isIn(target string) bool { return strings.HasPrefix(target, f.Flavor.StoreDir+"/") }

// found adds a root if a text is the path of a valid item, or one inside of it.
func (f *finder) found(link, text string) {
	p, err := f.Flavor.ParsePath(text)
	var inside *closure.InsideError
	if errors.As(err, &inside) {
		p, err = inside.Item, nil
	}
	if err == nil && f.valid[p] {
		f.roots = append(f.roots, Root{link, p})
	}
}
