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
	return s.contents.Replace(s.path(""), name, e.text())
}
