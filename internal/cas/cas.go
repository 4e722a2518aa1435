// Package cas stores contents in a directory by their SHA-256, so that nothing has to be fetched and unpacked twice.
//
// Several processes may share a directory. A content gets its name when it is complete and verified; until then it is in a file that its process
// keeps locked, and that the next process removes if that one was killed. Contents are hashed at each lookup, and damaged ones count as
// missing. Everything in the directory may be removed at any time.
package cas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/hosttree"
	"imprint/internal/scratch"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Digest is the SHA-256 of a content.
type Digest = [sha256.Size]byte

// A Store is a directory of contents. Its methods are safe for concurrent use.
type Store struct{ dir string }

// The directories in a store.
const (
	complete = "sha256"
	partial  = "partial"
)

// tag marks a directory that need not be in a backup (https://bford.info/cachedir/).
const tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Contents by their SHA-256; they may be removed at any time.\n"

// Open opens a store, creates it if necessary, and removes files left by killed processes.
func Open(dir string) (*Store, error) {
	for _, sub := range []string{complete, partial} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			return nil, err
		}
	}
	name := filepath.Join(dir, "CACHEDIR.TAG")
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(name, []byte(tag), 0o666); err != nil {
			return nil, err
		}
	}
	s := &Store{dir}
	return s, s.sweep()
}

// String returns the directory.
func (s *Store) String() string { return s.dir }

// Path returns where a content is, or would be. The first byte of the digest names one of 256 directories.
func (s *Store) Path(d Digest) string {
	digits := hex.EncodeToString(d[:])
	return filepath.Join(s.dir, complete, digits[:2], digits)
}

// AnySize stands for a size that is not known.
const AnySize = -1

// Get reads and verifies the content with a digest and a size in bytes, or [AnySize]. The error matches [fs.ErrNotExist] if it is missing or
// damaged.
func (s *Store) Get(ctx context.Context, d Digest, size int64) (tree.Blob, error) {
	path := s.Path(d)
	b, err := hosttree.File(path)
	if err != nil {
		return nil, err
	}
	damaged := fmt.Errorf("%s is damaged: %w", path, fs.ErrNotExist)
	if size != AnySize && b.Size() != size {
		return nil, damaged
	}
	h := sha256.New()
	if err := tree.Copy(ctx, h, b, nil); errors.Is(err, tree.ErrChanged) {
		return nil, damaged
	} else if err != nil {
		return nil, err
	}
	if Digest(h.Sum(nil)) != d {
		return nil, damaged
	}
	return b, nil
}

// Has reports whether the store has a content of that size, without reading it.
func (s *Store) Has(d Digest, size int64) bool {
	info, err := os.Lstat(s.Path(d))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// ErrMismatch is matched by the error of Add for a content that does not have the given digest and size.
var ErrMismatch = errors.New("contents are not what was promised")

// reserve is the number of bytes of the file system that stay free: a full disk harms more than the build.
const reserve = 64 * units.MiB

// Add adds the content that fill writes, unless the store has it. If another process is adding it, Add waits for that. Nothing is added if fill
// fails, or if the content does not have the digest and the size, which may be [AnySize]: then it may take what is free on the disk.
func (s *Store) Add(ctx context.Context, d Digest, size int64, fill func(w io.Writer) error) (tree.Blob, error) {
	return s.AddWith(ctx, sha256.New(), d, size, fill)
}

// AddWith is Add with a SHA-256 of the caller, which computes more of what it is given.
func (s *Store) AddWith(ctx context.Context, sum hash.Hash, d Digest, size int64, fill func(w io.Writer) error) (tree.Blob, error) {
	f, err := s.begin(ctx, d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if b, err := s.Get(ctx, d, size); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return b, errors.Join(err, os.Remove(f.Name()))
	}
	if err := s.complete(f, sum, d, size, fill); err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	return hosttree.File(s.Path(d))
}

// complete fills a locked file and names it. It does not sync: damage by a power cut is detected at the next lookup.
func (s *Store) complete(f *os.File, sum hash.Hash, d Digest, size int64, fill func(w io.Writer) error) error {
	w, err := s.counter(f, sum, size)
	if err != nil {
		return err
	}
	if err := fill(w); err != nil {
		return err
	}
	if w.left > 0 && size != AnySize {
		return fmt.Errorf("%w: %d bytes, not %d", ErrMismatch, size-w.left, size)
	}
	if got := Digest(w.sum.Sum(nil)); got != d {
		return &OtherError{Got: got, Want: d}
	}
	return s.name(f, d)
}

// name gives a complete file its name.
func (s *Store) name(f *os.File, d Digest) error {
	path := s.Path(d)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// AddUnknown adds the content that fill writes, whose digest is not known before, and returns both. from is the digest of what it is made from: processes that add
// what is made from the same wait for one another. sum is a SHA-256, as that of AddWith.
func (s *Store) AddUnknown(ctx context.Context, sum hash.Hash, from Digest, fill func(w io.Writer) error) (b tree.Blob, d Digest, err error) {
	f, err := s.begin(ctx, from)
	if err != nil {
		return nil, d, err
	}
	defer f.Close()
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	w, err := s.counter(f, sum, AnySize)
	if err != nil {
		return nil, d, err
	}
	if err = fill(w); err != nil {
		return nil, d, err
	}
	d = Digest(w.sum.Sum(nil))
	if err = s.name(f, d); err != nil {
		return nil, d, err
	}
	b, err = hosttree.File(s.Path(d))
	return b, d, err
}

// An OtherError reports a content with another digest than the one that it should have. It matches [ErrMismatch].
type OtherError struct{ Got, Want Digest }

// Error implements error.
func (e *OtherError) Error() string {
	return fmt.Sprintf("%v: SHA-256 %x, not %x", ErrMismatch, e.Got, e.Want)
}

// Is makes the error match ErrMismatch.
func (e *OtherError) Is(target error) bool { return target == ErrMismatch }

// counter returns a writer to a file for the bytes of a content, if there is room for them.
func (s *Store) counter(f *os.File, sum hash.Hash, size int64) (*counter, error) {
	free, err := scratch.Free(s.dir)
	if err != nil {
		return nil, err
	}
	c := &counter{w: f, sum: sum, left: size, full: errTooMany}
	if size == AnySize {
		c.left = max(0, free-reserve)
		c.full = s.noRoom(free, "more")
	} else if size > free-reserve {
		return nil, s.noRoom(free, units.FormatBytes(size))
	}
	return c, nil
}

// noRoom is the error about a content that does not fit on the disk.
func (s *Store) noRoom(free int64, size string) error {
	return fmt.Errorf("%s has %s free, %s of which stay free, and the content has %s", s.dir, units.FormatBytes(free), units.FormatBytes(min(free, reserve)), size)
}

// errTooMany is the error about a content with more bytes than it should have.
var errTooMany = fmt.Errorf("%w: there are more bytes", ErrMismatch)

// A counter hashes and counts bytes on the way to a writer, and fails if there are too many.
type counter struct {
	w    io.Writer
	sum  hash.Hash
	left int64
	full error // about too many
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, c.full
	}
	n, err := c.w.Write(p)
	c.sum.Write(p[:n])
	c.left -= int64(n)
	return n, err
}
