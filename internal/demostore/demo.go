package demostore

import (
	"os"
	"path/filepath"
)

// Demo makes the demo's store below dir, replacing an earlier one: dir/store is the directory that holds nix/store, dir/registration
// registers its items, and dir/system is a link to the system's store path. dir/nixos-1 and dir/nixos-2 are links to two generations
// of it in NixOS's form.
func Demo(dir string, p Parts) (*Store, Item, error) {
	return layOut(dir, Nix, func(s *Store) (Item, error) { return s.addNixSystem(dir, p.addSystem) })
}

// GuixDemo makes the same system in the form that Guix gives it: dir/store is the directory that holds gnu/store, and Guix's database in
// var/guix. dir/registration and dir/graph register its items, the latter as a graph of references, and dir/system is a link to the system,
// dir/system-1 to an older generation.
func GuixDemo(dir string, p Parts) (*Store, Item, error) {
	return layOut(dir, Guix, func(s *Store) (Item, error) { return s.addGuixSystem(dir, p.addSystem) })
}

// addSystem is [Store.AddSystem] as an argument.
func (p Parts) addSystem(s *Store) (Item, error) { return s.AddSystem(p) }

// layOut makes a store below dir, a file with its registration and a link to the system; add fills the store and returns the system.
func layOut(dir, storeDir string, add func(*Store) (Item, error)) (*Store, Item, error) {
	root := filepath.Join(dir, "store")
	if err := clean(root); err != nil {
		return nil, Item{}, err
	}
	s, err := Create(root, storeDir)
	if err != nil {
		return nil, Item{}, err
	}
	system, err := add(s)
	if err != nil {
		return nil, Item{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "registration"), []byte(s.Registration()), 0o644); err != nil {
		return nil, Item{}, err
	}
	return s, system, relink(system.Path, filepath.Join(dir, "system"))
}

// relink makes a link, in place of what is there.
func relink(target, at string) error {
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	return os.Symlink(target, at)
}

// clean removes a store, if there is one.
func clean(root string) error {
	if _, err := os.Lstat(root); os.IsNotExist(err) {
		return nil
	}
	return removeAll(root)
}
