package mke2fs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	madedir "imprint/internal/scratch"
	"imprint/internal/tree"
)

// A scratch is a directory for what the tools need as files. It is cleared after every batch.
type scratch struct {
	dir    string
	made   *madedir.Directory
	files  []string
	bytes  int64 // of contents, without holes
	buffer []byte
}

func newScratch(dir string) (*scratch, error) {
	d, err := madedir.Dir(dir)
	if err != nil {
		return nil, err
	}
	return &scratch{dir: d.Path, made: d}, nil
}

func (s *scratch) remove() error { return s.made.Remove() }

// clear removes the files of a batch.
func (s *scratch) clear() error {
	for _, f := range s.files {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	s.files, s.bytes = s.files[:0], 0
	return nil
}

func (s *scratch) name() string {
	s.files = append(s.files, filepath.Join(s.dir, strconv.Itoa(len(s.files))))
	return s.files[len(s.files)-1]
}

// source returns a path where debugfs can read a blob: that of the host's file, or of a scratch file with the content.
func (s *scratch) source(ctx context.Context, b tree.Blob) (string, error) {
	path, off, ok := tree.HostRange(b)
	if !ok || off != 0 {
		return s.copy(ctx, b)
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() != b.Size() {
		return s.copy(ctx, b) // a part of the file, or one that has changed, which copying finds out
	}
	return s.host(path)
}

// host returns the path of a file of the host, or of a link to it where the script cannot hold its path.
func (s *scratch) host(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if checkWord("path", path) == nil {
		return path, nil
	}
	link := s.name()
	return link, os.Symlink(path, link)
}

// text makes a scratch file with the given content.
func (s *scratch) text(content []byte) (string, error) {
	name := s.name()
	s.bytes += int64(len(content))
	return name, os.WriteFile(name, content, 0o600)
}

// copy makes a scratch file of a blob, with its holes.
func (s *scratch) copy(ctx context.Context, b tree.Blob) (name string, err error) {
	r, err := b.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	name = s.name()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(b.Size()); err != nil {
		return "", err
	}
	for _, part := range tree.DataOf(b) {
		if err := s.copyRange(ctx, f, b, r, part); err != nil {
			return "", err
		}
	}
	return name, tree.CheckEnd(r, b)
}

// copyRange copies a part of a blob to the same offset of a file.
func (s *scratch) copyRange(ctx context.Context, to io.WriterAt, b tree.Blob, from io.ReaderAt, part tree.Range) error {
	if s.buffer == nil {
		s.buffer = make([]byte, 1<<20)
	}
	for off := part.Off; off < part.End(); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := s.buffer[:min(part.End()-off, int64(len(s.buffer)))]
		if err := tree.ReadFull(from, b, p, off); err != nil {
			return err
		}
		if _, err := to.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
		s.bytes += int64(len(p))
	}
	return nil
}

// imageName is a path of the disk file without a question mark, which would be the start of options to libext2fs.
func (s *scratch) imageName(file string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil || !strings.Contains(file, "?") {
		return file, err
	}
	link := filepath.Join(s.dir, "disk")
	return link, os.Symlink(file, link)
}
