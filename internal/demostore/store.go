// Package demostore makes stores of Nix and of Guix without either, for the demo, the tests and the benchmark: items with correct store paths and NAR
// hashes, and their registration. Demo and GuixDemo make a system that boots, Synthetic and GuixSynthetic one with the same contents on every machine.
//
// It shares no code with the rest of the program, so that it is a second opinion on hashes and store paths.
package demostore

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// The store directories of the running system, wherever the items are now.
const (
	Nix  = "/nix/store"
	Guix = "/gnu/store"
)

// A Store is a store that items are added to. Its methods are safe for concurrent use.
type Store struct {
	root  string // the directory that holds nix/store, for example
	dir   string // the store directory
	mu    sync.Mutex
	items map[string]Item
}

// An Item is the registration of a store item.
type Item struct {
	Path       string // below the store directory
	Hash       [sha256.Size]byte
	NARSize    int64    // bytes
	References []string // sorted store paths
}

// Create makes an empty store below root, with the store directory Nix or Guix. root may exist already, but must not hold such a store.
func Create(root, storeDir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(storeDir)), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(root, storeDir), 0o755); err != nil {
		return nil, err
	}
	return &Store{root: root, dir: storeDir, items: map[string]Item{}}, nil
}

// Host returns the path of a store path on this machine.
func (s *Store) Host(storePath string) string { return filepath.Join(s.root, storePath) }

// Add makes an item: fill writes its content to path, as a file, a symlink or a directory, and must refer to nothing but references.
// Add then sets the metadata that all store items have, and the store path follows from the content.
func (s *Store) Add(name string, references []string, fill func(path string) error) (Item, error) {
	scratch, err := os.MkdirTemp(s.Host(s.dir), ".new-")
	if err != nil {
		return Item{}, err
	}
	defer os.RemoveAll(scratch)
	content := filepath.Join(scratch, name)
	if err := fill(content); err != nil {
		return Item{}, fmt.Errorf("make %s: %v", name, err)
	}
	item, err := s.register(content, name, references)
	if err != nil {
		return Item{}, fmt.Errorf("make %s: %v", name, err)
	}
	return item, s.keep(content, item)
}

// keep moves an item to its place, unless an equal item is there.
func (s *Store) keep(content string, item Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.items[item.Path]; there {
		return removeAll(content)
	}
	s.items[item.Path] = item
	return move(content, s.Host(item.Path))
}

// move renames an item. A read-only directory must be made writable first, except for root, since renaming it changes its "..".
func move(from, to string) error {
	st, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return os.Rename(from, to)
	}
	if err := os.Chmod(from, 0o755); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return canonical(to, fs.FileInfoToDirEntry(st))
}

// removeAll removes a tree that has read-only directories.
func removeAll(path string) error {
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o755)
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}

func (s *Store) register(content, name string, references []string) (Item, error) {
	if err := canonicalTree(content); err != nil {
		return Item{}, err
	}
	item := Item{References: slices.Compact(slices.Sorted(slices.Values(references)))}
	var err error
	if item.Hash, item.NARSize, err = hashNAR(content); err != nil {
		return Item{}, err
	}
	item.Path = sourcePath(s.dir, name, item.Hash, item.References)
	return item, nil
}

// canonicalTree sets mode and time of every file to those of store items, contents of a directory before the directory.
func canonicalTree(root string) error {
	type entry struct {
		path string
		d    fs.DirEntry
	}
	var all []entry
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		all = append(all, entry{path, d})
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(all) {
		if err := canonical(e.path, e.d); err != nil {
			return err
		}
	}
	return nil
}

// canonical sets mode 0555 or 0444 and the modification time 1.
func canonical(path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if d.Type() != fs.ModeSymlink {
		mode := fs.FileMode(0o444)
		if info.Mode()&0o100 != 0 {
			mode = 0o555
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	second := unix.Timespec{Sec: 1}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{second, second}, unix.AT_SYMLINK_NOFOLLOW)
}

// Items returns all items, sorted by store path.
func (s *Store) Items() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]Item, 0, len(s.items))
	for _, i := range s.items {
		items = append(items, i)
	}
	slices.SortFunc(items, func(a, b Item) int { return cmp.Compare(a.Path, b.Path) })
	return items
}

// Registration returns the registration of all items in the format of nixpkgs' closureInfo: for each item the path, the NAR hash, the
// NAR size, an empty line for the deriver, the number of references, and the references.
func (s *Store) Registration() string {
	var b strings.Builder
	for _, i := range s.Items() {
		fmt.Fprintf(&b, "%s\nsha256:%s\n%d\n\n%d\n", i.Path, base32(i.Hash[:]), i.NARSize, len(i.References))
		for _, r := range i.References {
			b.WriteString(r + "\n")
		}
	}
	return b.String()
}
