package objects

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a small file that leads to contents to a directory, which is made if necessary. The file has the old text or the new one, whatever
// happens. The name under which the new one is written is always the same, and so is free after a process was killed; callers keep others away
// with a lock.
func (s *Store) Replace(dir, name string, text []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fresh := filepath.Join(dir, ".new")
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(fresh, filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return syncPath(dir)
}

// syncPath syncs a file or a directory.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
