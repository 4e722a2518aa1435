package target

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/scratch"
)

// OpenCache opens a cache in a directory, and makes one of a directory that is empty or not there.
func OpenCache(ctx context.Context, dir string, o CacheOptions) (*Cache, error) {
	if err := os.MkdirAll(filepath.Join(dir, "nar"), 0o777); err != nil {
		return nil, err
	}
	return openCache(ctx, o, directoryFiles(dir))
}

// directoryFiles are those in a directory.
type directoryFiles string

// String returns the directory.
func (d directoryFiles) String() string { return string(d) }

func (d directoryFiles) about(context.Context) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), narinfo.CacheFile))
}

func (d directoryFiles) has(_ context.Context, name string) (bool, error) {
	_, err := os.Lstat(filepath.Join(string(d), name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d directoryFiles) create(shown string) (*os.File, func(), error) {
	return scratch.Create(filepath.Join(string(d), "nar"), shown)
}

func (d directoryFiles) add(_ context.Context, name string, f *os.File, _ int64, _ nar.Digest) error {
	return d.publish(f, name)
}

// write writes a file, which appears complete.
func (d directoryFiles) write(_ context.Context, name, text string) error {
	f, remove, err := scratch.Create(string(d), name+" (new)")
	if err != nil {
		return err
	}
	defer remove()
	if _, err := io.WriteString(f, text); err != nil {
		return err
	}
	return d.publish(f, name)
}

// publish names a file. One that has the name already is as good: it has the same content, or is about the same item.
func (d directoryFiles) publish(f *os.File, name string) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := scratch.Link(f, filepath.Join(string(d), name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
