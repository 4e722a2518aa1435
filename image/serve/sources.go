package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"imprint/image/write"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A fingerprint identifies a file, and changes when somebody writes to it.
type fingerprint struct {
	device, inode uint64
	size          int64
	mtime, ctime  unix.Timespec
}

// fingerprintOf returns the fingerprint of the file at a path.
func fingerprintOf(path string) (p fingerprint, err error) {
	var st unix.Stat_t
	for {
		switch err = unix.Stat(path, &st); err {
		case nil:
			return fingerprint{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}, nil
		case unix.EINTR:
		default:
			return p, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
	}
}

// A source is a host file, or a part of an archive, with its recorded fingerprint.
type source struct {
	print  fingerprint
	checks []*check // the items or files that it is part of
}

// same returns an error if the source, the file at path, has changed since it was recorded.
func (s *source) same(path string) error {
	now, err := fingerprintOf(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.problem(path, "is gone")
	case err != nil:
		return err
	case now != s.print:
		return s.problem(path, "has changed while it was served")
	}
	return nil
}

func (s *source) problem(path, what string) error {
	if len(s.checks) > 0 && s.checks[0].name != path {
		return changedError(fmt.Sprintf("%s: %s %s", s.checks[0].name, path, what))
	}
	return changedError(path + " " + what)
}

// A changedError reports a source whose fingerprint has changed. Its content may still be the same.
type changedError string

// Error implements error.
func (e changedError) Error() string { return string(e) }

// Is reports whether target is [write.ErrMismatch].
func (e changedError) Is(target error) bool { return target == write.ErrMismatch }

// sources are those of a disk.
type sources map[tree.Blob]*source

// add adds a source for each piece of a content that is in a host file.
func (s sources) add(b tree.Blob) {
	for _, piece := range tree.Pieces(b) {
		if _, ok := piece.Blob.(tree.HostBlob); ok && s[piece.Blob] == nil {
			s[piece.Blob] = &source{}
		}
	}
}

// belong assigns the sources of a content to checks, and returns their number.
func (s sources) belong(b tree.Blob, to []*check) (found int) {
	for _, piece := range tree.Pieces(b) {
		src := s[piece.Blob]
		if src == nil {
			continue
		}
		if found++; src.checks == nil {
			src.checks = to // shared by all files of an item
			continue
		}
		src.checks = append(src.checks[:len(src.checks):len(src.checks)], to...)
	}
	return found
}

// same returns an error if a source of a content has changed.
func (s sources) same(b tree.Blob) error {
	for _, piece := range tree.Pieces(b) {
		if src := s[piece.Blob]; src != nil {
			if err := src.same(tree.HostPath(piece.Blob)); err != nil {
				return err
			}
		}
	}
	return nil
}

// record records the fingerprints of all sources, several at a time.
func (s sources) record(ctx context.Context) error {
	const batch = 512
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	var blobs []tree.Blob
	flush := func() {
		list := blobs
		blobs = nil
		group.Go(func() error {
			for _, b := range list {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				p, err := fingerprintOf(tree.HostPath(b))
				if err != nil {
					return changed(err)
				}
				s[b].print = p
			}
			return nil
		})
	}
	for b := range s {
		if blobs = append(blobs, b); len(blobs) == batch {
			flush()
		}
	}
	flush()
	return group.Wait()
}
