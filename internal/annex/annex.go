package annex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"imprint/internal/hosttool"
)

// A Repository asks git-annex. Env are variables that its programs get besides the fixed ones, such as HOME, where the keys of ssh are.
type Repository struct{ Env []string }

// A File is a content of a repository.
type File struct {
	Path string // on the host; "" if the content is not there
	Key  Key    // the zero Key if the file is no content of git-annex, or does not say so
	in   string // directory in which it is got
	name string // by which it is got; "" by its key
}

// Find looks for a file by its path, or for a content by DIR/KEY, in the repository that DIR is in. Nothing is fetched. The error matches
// [fs.ErrNotExist] if there is no such file.
func (r Repository) Find(ctx context.Context, path string) (File, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if k, wrong := ParseKey(filepath.Base(path)); wrong == nil {
			return r.byKey(ctx, filepath.Dir(path), k)
		}
	}
	if err != nil {
		return File{}, err
	}
	f := File{in: filepath.Dir(path), name: filepath.Base(path)}
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		return f, f.link(path)
	case !info.Mode().IsRegular():
		return File{}, &fs.PathError{Op: "read", Path: path, Err: errors.New("is not a file")}
	}
	return f, f.regular(path, info.Size())
}

// link fills in what a symlink says: it leads to the content, whether that is there or not.
func (f *File) link(path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	f.Key, _ = keyOfLink(target)
	switch _, err := os.Stat(path); {
	case err == nil:
		f.Path = path
	case f.Key == Key{} || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// maxPointer is the length in bytes up to which a file may stand for a content.
const maxPointer = 32 << 10

// regular fills in what a file says: it is the content, or stands for it.
func (f *File) regular(path string, size int64) error {
	f.Path = path
	if size > maxPointer {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPointer))
	if err != nil {
		return err
	}
	if k, ok := keyOfPointer(string(text)); ok {
		f.Path, f.Key = "", k
	}
	return nil
}

// byKey asks for the content of a key.
func (r Repository) byKey(ctx context.Context, dir string, k Key) (File, error) {
	if info, err := os.Stat(dir); err != nil {
		return File{}, err
	} else if !info.IsDir() {
		return File{}, &fs.PathError{Op: "read", Path: dir, Err: errors.New("is no directory")}
	}
	f := File{Key: k, in: dir}
	out, err := r.run(ctx, dir, "contentlocation", k.Text)
	var exit *hosttool.ExitError
	switch {
	case errors.As(err, &exit) && strings.TrimSpace(exit.Stderr) == "": // it is not there
		return f, nil
	case errors.As(err, &exit) && strings.Contains(exit.Stderr, "Not in a git repository"):
		return f, fmt.Errorf("%s is in no repository of git-annex", dir)
	case err != nil:
		return f, err
	}
	f.Path = filepath.Join(dir, strings.TrimSuffix(out, "\n"))
	return f, nil
}

// Get gets the content of a file from where git-annex knows it to be. The path is that of the file afterwards.
func (r Repository) Get(ctx context.Context, f File) (File, error) {
	args := []string{"get", "--quiet", "--key", f.Key.Text}
	if f.name != "" {
		args = []string{"get", "--quiet", "--", f.name}
	}
	if _, err := r.run(ctx, f.in, args...); err != nil {
		return f, err
	}
	got, err := r.Find(ctx, filepath.Join(f.in, cmp.Or(f.name, f.Key.Text)))
	if err == nil && got.Path == "" {
		err = fmt.Errorf("git annex get has not got %s", filepath.Join(f.in, cmp.Or(f.name, f.Key.Text)))
	}
	return got, err
}

// run runs git annex. It commits what it has done, for which a user without a name in the configuration of git needs an address.
func (r Repository) run(ctx context.Context, dir string, args ...string) (string, error) {
	if _, err := hosttool.Find("git-annex"); err != nil {
		return "", err
	}
	out, err := hosttool.Run(ctx, hosttool.Command{
		Name: "git", Args: append([]string{"annex"}, args...), Dir: dir, Env: append([]string{"EMAIL=imprint@localhost"}, r.Env...),
	})
	return string(out.Output), err
}
