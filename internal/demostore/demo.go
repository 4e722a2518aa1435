package demostore

import (
	"os"
	"path/filepath"
)

// Demo makes the demo's store below dir, replacing an earlier one: dir/store is the directory that holds nix/store, dir/registration
// registers its items, and dir/system is a link to the system's store path. dir/nixos-1 and dir/nixos-2 are links to two generations
// of it in NixOS's form.
func Demo(dir string, p Parts) (*Store, Item, error) {
	return layOut(dir, func(s *Store) (Item, error) { return s.AddSystem(p) })
}

// layOut makes the files of Demo; add fills the store and returns the system.
func layOut(dir string, add func(*Store) (Item, error)) (*Store, Item, error) {
	root := filepath.Join(dir, "store")
	if err := clean(root); err != nil {
		return nil, Item{}, err
	}
	s, err := Create(root)
	if err != nil {
		return nil, Item{}, err
	}
	system, err := add(s)
	if err == nil {
		err = s.addNixOS(dir, system)
	}
	if err != nil {
		return nil, Item{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "registration"), []byte(s.Registration()), 0o644); err != nil {
		return nil, Item{}, err
	}
	link := filepath.Join(dir, "system")
	if err := os.RemoveAll(link); err != nil {
		return nil, Item{}, err
	}
	return s, system, os.Symlink(system.Path, link)
}

// clean removes a store, if there is one.
func clean(root string) error {
	if _, err := os.Lstat(root); os.IsNotExist(err) {
		return nil
	}
	return removeAll(root)
}
