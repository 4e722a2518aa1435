package environment

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// change replaces an environment by what edit makes of it, while nobody else changes one. edit gets nil if there is none, and returns nil to remove it.
func (s *Store) change(ctx context.Context, name string, edit func(*Environment) (*Environment, error)) error {
	if err := CheckName("an environment", name); err != nil {
		return err
	}
	release, err := s.contents.Lock(ctx, "change.lock", true)
	if err != nil {
		return err
	}
	defer release()
	old, err := s.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e, err := edit(old)
	switch {
	case err != nil:
		return err
	case e == nil:
		return os.Remove(s.path(name))
	}
	if err := s.contents.Sync(); err != nil {
		return err
	}
	return s.replace(name, e.text())
}

// replace writes the file of an environment. The name of the new one is always the same, and so is free after a process was killed.
func (s *Store) replace(name string, text []byte) error {
	if err := os.MkdirAll(s.path(""), 0o700); err != nil {
		return err
	}
	fresh := s.path(".new")
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(fresh, s.path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return syncDir(s.path(""))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
