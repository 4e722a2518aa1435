// Package objects keeps contents in a directory by their digests, for as long as something leads to them. A content is complete and never changes
// once it has its name, so that a process that is killed leaves nothing behind, and processes may add at the same time.
//
// A digest is the [tree.Pin] of the content. What is read is not believed because it is there: blobs are pinned, and whoever copies one
// compares. Package cas is for what may be removed at any time, and is known by its digest before it is there.
package objects

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/hosttree"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A Digest identifies a content.
type Digest = tree.Pin

// Text returns a digest in 64 hexadecimal digits.
func Text(d Digest) string { return hex.EncodeToString(d[:]) }

// Parse is the inverse of Text.
func Parse(text string) (d Digest, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) || Text(Digest(b)) != text {
		return d, fmt.Errorf("%.80q is not a digest of %d hexadecimal digits", text, 2*len(d))
	}
	return Digest(b), nil
}

// A Store is a directory of contents. It may be used by any number of goroutines and processes.
type Store struct{ dir string }

// ErrMissing is matched by errors about contents that are not there.
var ErrMissing = errors.New("is not in the build store")

// ErrDamaged is matched by errors about contents that do not have their digest.
var ErrDamaged = errors.New("is damaged")

// Open returns the store in a directory. The directory is made when something is added.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	return &Store{dir}, err
}

// Dir returns the absolute path of the directory.
func (s *Store) Dir() string { return s.dir }

// make makes the directory. Only its owner may read it: contents may be secret.
func (s *Store) make() error { return os.MkdirAll(filepath.Join(s.dir, subdir), 0o700) }

const subdir = "objects"

// path returns the name of a content's file.
func (s *Store) path(d Digest) string {
	name := Text(d)
	return filepath.Join(s.dir, subdir, name[:2], name[2:])
}

// Get returns a content as a blob with its pin; data are the ranges of it that are not holes, all of it if there are none. Errors match
// [ErrMissing], or [ErrDamaged] if the file has another size.
func (s *Store) Get(d Digest, size int64, data []tree.Range) (tree.Blob, error) {
	b, err := hosttree.File(s.path(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s %w", Text(d), ErrMissing)
	case err != nil:
		return nil, err
	case size >= 0 && b.Size() != size:
		return nil, fmt.Errorf("%s %w: it has %d bytes instead of %d", s.path(d), ErrDamaged, b.Size(), size)
	}
	if data != nil {
		b = tree.Sparse(b, data)
	}
	return tree.Pinned(b, d), nil
}

// Text returns a content without holes of at most limit bytes, verified. Errors are those of Get, or match [ErrDamaged].
func (s *Store) Text(d Digest, limit int64) ([]byte, error) {
	b, err := s.Get(d, -1, nil)
	if err != nil {
		return nil, err
	}
	text, err := tree.ReadAll(b, limit)
	if err == nil && pinOf(text) != d {
		err = fmt.Errorf("%s %w: its content does not have that digest", s.path(d), ErrDamaged)
	}
	return text, err
}

// pinOf returns the digest of a content in memory.
func pinOf(text []byte) Digest {
	p := tree.NewPinner()
	p.Write(text)
	return p.Pin()
}

// Has reports whether a content is there, without reading it.
func (s *Store) Has(d Digest) bool {
	info, err := os.Lstat(s.path(d))
	return err == nil && info.Mode().IsRegular()
}

// All returns the digests of all contents with their sizes in bytes, in no order.
func (s *Store) All() (map[Digest]int64, error) {
	all := map[Digest]int64{}
	top := filepath.Join(s.dir, subdir)
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an empty store, or removed meanwhile
		}
		if err != nil || e.IsDir() {
			return err
		}
		d, err := Parse(filepath.Base(filepath.Dir(path)) + e.Name())
		if err != nil || path != s.path(d) {
			return nil // not of this store
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			all[d] = info.Size()
		}
		return err
	})
	return all, err
}

// Remove removes a content, if it is there.
func (s *Store) Remove(d Digest) error {
	path := s.path(d)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	os.Remove(filepath.Dir(path)) // unless others are in it
	return nil
}

// mostSynced is the number of contents up to which SyncOnly syncs each.
const mostSynced = 64

// SyncOnly returns when these contents are on the disk. It is Sync if they are many: that waits for all that others write to the file system, too.
func (s *Store) SyncOnly(list []Digest) error {
	if len(list) > mostSynced {
		return s.Sync()
	}
	files, dirs := map[string]bool{}, map[string]bool{filepath.Join(s.dir, subdir): true}
	for _, d := range list {
		files[s.path(d)], dirs[filepath.Dir(s.path(d))] = true, true
	}
	if err := syncAll(files); err != nil {
		return err
	}
	return syncAll(dirs)
}

// syncAll syncs files or directories, several at a time: a journal then commits them together.
func syncAll(paths map[string]bool) error {
	var group errgroup.Group
	group.SetLimit(16)
	for path := range paths {
		group.Go(func() error { return syncPath(path) })
	}
	return group.Wait()
}

// Sync returns when everything that was added is on the disk.
func (s *Store) Sync() error {
	f, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "sync", Path: s.dir, Err: err}
	}
	return nil
}
