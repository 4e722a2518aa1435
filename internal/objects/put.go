package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/scratch"
	"imprint/internal/tree"
)

// small is the size in bytes up to which a content is read into memory first: one that is there already is then not written again.
const small = 1 << 20

// Put adds a content and returns it as a blob of the store. A content that is there already is read, and replaced if it is damaged.
func (s *Store) Put(ctx context.Context, b tree.Blob) (tree.Blob, error) {
	if b.Size() > small {
		return s.stream(ctx, b)
	}
	text, err := tree.ReadAll(b, small)
	if err != nil {
		return nil, err
	}
	return s.stream(ctx, tree.Text(string(text)))
}

// PutText adds a content in memory, and returns its digest.
func (s *Store) PutText(ctx context.Context, text []byte) (Digest, error) {
	p := tree.NewPinner()
	p.Write(text)
	pinned := p.Blob(counter(len(text)))
	d, _ := tree.PinOf(pinned)
	if s.Has(d) {
		if found, err := s.sound(ctx, pinned); found != nil || err != nil {
			return d, err
		}
	}
	f, remove, err := s.create()
	if err != nil {
		return d, err
	}
	defer remove()
	if _, err := f.Write(text); err != nil {
		return d, err
	}
	if err := f.Chmod(0o400); err != nil {
		return d, err
	}
	_, err = s.name(ctx, f, pinned)
	return d, err
}

// stream copies a content into a file without a name, which gets one when its digest is known.
func (s *Store) stream(ctx context.Context, b tree.Blob) (tree.Blob, error) {
	if b.Size() <= small {
		if found, err := s.known(ctx, b); found != nil || err != nil {
			return found, err
		}
	}
	f, remove, err := s.create()
	if err != nil {
		return nil, err
	}
	defer remove()
	pinned, err := tree.PinContent(ctx, b, &file{File: f})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(b.Size()), f.Chmod(0o400)); err != nil {
		return nil, err
	}
	return s.name(ctx, f, pinned)
}

// known returns the blob of a content in memory that is there and sound, else nil.
func (s *Store) known(ctx context.Context, b tree.Blob) (tree.Blob, error) {
	pinned, err := tree.PinContent(ctx, b)
	if err != nil {
		return nil, err
	}
	d, _ := tree.PinOf(pinned)
	if !s.Has(d) {
		return nil, nil
	}
	return s.sound(ctx, pinned)
}

// sound returns the blob of the store with the content of another one, or nil if it is damaged.
func (s *Store) sound(ctx context.Context, pinned tree.Blob) (tree.Blob, error) {
	d, _ := tree.PinOf(pinned)
	b, err := s.Get(d, pinned.Size(), holes(pinned))
	switch {
	case errors.Is(err, ErrDamaged) || errors.Is(err, ErrMissing):
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch err := Verify(ctx, b); {
	case errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist): // another process may have removed it just now
		return nil, nil
	case err != nil:
		return nil, err
	}
	return b, nil
}

// Verify reads a blob of a store. Errors about another content than that of its digest match [ErrDamaged].
func Verify(ctx context.Context, b tree.Blob) error {
	want, _ := tree.PinOf(b)
	whole, _ := tree.Origin(b)
	found, err := tree.PinContent(ctx, whole)
	if errors.Is(err, tree.ErrChanged) {
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	if got, _ := tree.PinOf(found); got != want {
		return fmt.Errorf("%s %w: its content does not have that digest", tree.HostPath(b), ErrDamaged)
	}
	return nil
}

// holes returns the data of a sparse blob, and nil for others.
func holes(b tree.Blob) []tree.Range {
	if s, ok := b.(tree.SparseBlob); ok {
		return append([]tree.Range{}, s.Data()...)
	}
	return nil
}

// name gives a complete file the name of its content.
func (s *Store) name(ctx context.Context, f *os.File, pinned tree.Blob) (tree.Blob, error) {
	d, _ := tree.PinOf(pinned)
	path := s.path(d)
	for {
		err := scratch.Link(f, path)
		switch {
		case err == nil:
			return s.Get(d, pinned.Size(), holes(pinned))
		case errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil: // the directory is not there yet, or was empty and another process has removed it
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
			continue
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		}
		if b, err := s.sound(ctx, pinned); b != nil || err != nil {
			return b, err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// create creates a file that is gone after remove, unless it gets a name.
func (s *Store) create() (f *os.File, remove func(), err error) {
	f, remove, err = scratch.Create(s.dir, filepath.Join(s.dir, "(new)"))
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.make(); err != nil {
			return nil, nil, err
		}
		f, remove, err = scratch.Create(s.dir, filepath.Join(s.dir, "(new)"))
	}
	return f, remove, err
}

// A file is a new file, in which zeros are holes.
type file struct {
	*os.File
}

// WriteZeros implements tree.ZeroWriter.
func (f *file) WriteZeros(n int64) error {
	_, err := f.Seek(n, io.SeekCurrent)
	return err
}
