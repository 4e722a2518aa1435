package named

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Change replaces a value by what edit makes of it, while nobody else changes one of the build store. edit gets nil if there is none, and returns nil
// to remove it. What the new value leads to is on the disk when edit returns.
func (d *Dir[T]) Change(ctx context.Context, name string, edit func(*T) (*T, error)) error {
	if err := Check(d.kind.Of(), name); err != nil {
		return err
	}
	release, err := d.contents.Lock(ctx, "change.lock", true)
	if err != nil {
		return err
	}
	defer release()
	old, err := d.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var before []byte
	if old != nil {
		before = d.kind.Text(old)
	}
	v, err := edit(old)
	switch {
	case err != nil:
		return err
	case v == nil:
		return os.Remove(filepath.Join(d.path, name))
	}
	text := d.kind.Text(v)
	if bytes.Equal(text, before) {
		return nil
	}
	return d.contents.Replace(d.path, name, text)
}

// Edit is Change for a value that is there.
func (d *Dir[T]) Edit(ctx context.Context, name string, edit func(*T) error) error {
	return d.existing(ctx, name, func(v *T) (*T, error) { return v, edit(v) })
}

// Remove removes a value.
func (d *Dir[T]) Remove(ctx context.Context, name string) error {
	return d.existing(ctx, name, func(*T) (*T, error) { return nil, nil })
}

// existing is Change for a value that is there. Before it makes a lock it looks whether it is, so that a wrong name makes no build store.
func (d *Dir[T]) existing(ctx context.Context, name string, edit func(*T) (*T, error)) error {
	if _, err := d.Get(name); err != nil {
		return err
	}
	return d.Change(ctx, name, func(v *T) (*T, error) {
		if v == nil {
			return nil, &UnknownError{What: d.kind.Word, Name: name}
		}
		return edit(v)
	})
}
