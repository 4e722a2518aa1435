package demostore

import (
	"os"
	"path/filepath"
)

// Demo makes the demo's store below dir in place of one that may be there: dir/store, the directory under which nix/store lies,
// dir/registration, and dir/system, a link to the system's store path.
func Demo(dir string, p Parts) (*Store, Item, error) {
	root := filepath.Join(dir, "store")
	if err := clean(root); err != nil {
		return nil, Item{}, err
	}
	s, err := Create(root)
	if err != nil {
		return nil, Item{}, err
	}
	system, err := s.AddSystem(p)
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
