package xorriso

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"imprint/internal/scratch"
	"imprint/internal/tree"
)

// A spool is a directory with what xorriso must read and no file of the host holds: one file with contents one behind the other, an empty
// file, and copies of contents that need an inode of their own. xorriso takes no files without names.
type spool struct {
	dir    *scratch.Directory
	file   *os.File
	size   int64
	copies int
}

func newSpool(dir string) (*spool, error) {
	d, err := scratch.Dir(dir)
	if err != nil {
		return nil, err
	}
	s := &spool{dir: d}
	if err := os.WriteFile(s.empty(), nil, 0o600); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	if s.file, err = os.Create(filepath.Join(d.Path, "spool")); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *spool) empty() string { return filepath.Join(s.dir.Path, "empty") }

func (s *spool) remove() error {
	if s.file != nil {
		s.file.Close()
	}
	return s.dir.Remove()
}

// A hostRange is content that lies in one piece in a file of the host.
type hostRange interface {
	HostRange() (path string, off int64)
}

// hosted gives the place of a blob that lies in a file of the host, with or without known holes.
func hosted(b tree.Blob) (hostRange, bool) {
	if u, ok := b.(interface{ Unwrap() tree.Blob }); ok {
		b = u.Unwrap()
	}
	h, ok := b.(hostRange)
	return h, ok
}

// find gives where a blob's content lies: in a file of the host, else in the spool, to which it is added.
func (s *spool) find(ctx context.Context, b tree.Blob) (path string, off int64, err error) {
	if h, ok := hosted(b); ok {
		path, off = h.HostRange()
		path, err = filepath.Abs(path)
		return path, off, err
	}
	return s.add(ctx, b)
}

// add puts a blob's content behind the others of the spool, and gives where it lies.
func (s *spool) add(ctx context.Context, b tree.Blob) (path string, off int64, err error) {
	off = s.size
	s.size += b.Size()
	return s.file.Name(), off, copyBlob(ctx, io.NewOffsetWriter(s.file, off), b)
}

// copy gives a file of its own with a blob's content.
func (s *spool) copy(ctx context.Context, b tree.Blob) (path string, err error) {
	s.copies++
	f, err := os.Create(filepath.Join(s.dir.Path, strconv.Itoa(s.copies)))
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(copyBlob(ctx, f, b), f.Close())
}

func copyBlob(ctx context.Context, w io.Writer, b tree.Blob) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, interruptible{ctx, io.NewSectionReader(r, 0, b.Size())})
	if err == nil && n != b.Size() {
		err = fmt.Errorf("content ends at byte %d of %d", n, b.Size())
	}
	return err
}

// interruptible reads until ctx ends.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
