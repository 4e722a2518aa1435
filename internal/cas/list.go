package cas

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Kept is a content that has its name.
type Kept struct {
	Digest Digest
	Size   int64     // bytes
	Read   time.Time // when it was read for the last time, as far as the file system records that
}

// List returns the contents in the directory of a store, without reading them, those first that were not read for longest. A directory that is not
// there has none, and is not made.
func List(dir string) (list []Kept, err error) {
	s := &Store{dir}
	err = filepath.WalkDir(filepath.Join(dir, complete), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := hex.DecodeString(e.Name())
		if err != nil || len(b) != len(Digest{}) || s.Path(Digest(b)) != path {
			return nil // not of this store
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			st := info.Sys().(*syscall.Stat_t)
			read := max(unix.TimespecToNsec(unix.Timespec(st.Atim)), unix.TimespecToNsec(unix.Timespec(st.Mtim)))
			list = append(list, Kept{Digest(b), info.Size(), time.Unix(0, read)})
		}
		return err
	})
	slices.SortStableFunc(list, func(a, b Kept) int { return a.Read.Compare(b.Read) })
	return list, err
}

// Verify reads all contents in the directory of a store, and calls report for each that does not have its digest. It returns how many it has read.
func Verify(ctx context.Context, dir string, report func(error)) (read int, err error) {
	list, err := List(dir)
	if err != nil {
		return 0, err
	}
	s := &Store{dir}
	for _, k := range list {
		switch _, err := s.Get(ctx, k.Digest, k.Size); {
		case ctx.Err() != nil:
			return read, context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist) && !s.Has(k.Digest, k.Size):
			continue // removed meanwhile
		case err != nil:
			report(fmt.Errorf("%s does not have its digest, and is made again when it is needed", s.Path(k.Digest)))
		}
		read++
	}
	return read, nil
}

// Remove removes a content from the directory of a store.
func Remove(dir string, d Digest) error {
	err := os.Remove((&Store{dir}).Path(d))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}
