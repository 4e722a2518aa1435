// Package named keeps values in a directory, each in a small file of its name. A file is replaced as a whole and under a lock: a process that is
// killed leaves it as it was, and of several that change one, each sees what the one before has made of it.
package named

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"imprint/internal/objects"
)

// A Kind is what the files of a directory are. A file has a line with the word and the version of the form, and then the lines of its value.
type Kind[T any] struct {
	Word, Article string // "environment", "an"

	Lines func(*T) []byte
	Parse func(name string, lines []byte) (*T, error) // the inverse of Lines
}

// Of returns the word with its article.
func (k *Kind[T]) Of() string { return k.Article + " " + k.Word }

func (k *Kind[T]) version() string { return "imprint " + k.Word + " 1\n" }

// Text returns the file of a value.
func (k *Kind[T]) Text(v *T) []byte { return append([]byte(k.version()), k.Lines(v)...) }

// Value is the inverse of Text: there is one text for each value, and another one is an error.
func (k *Kind[T]) Value(name string, text []byte) (*T, error) {
	lines, ok := bytes.CutPrefix(text, []byte(k.version()))
	if !ok {
		return nil, k.noFile()
	}
	v, err := k.Parse(name, lines)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(k.Text(v), text) {
		return nil, errors.New("is not in the form in which it is written")
	}
	return v, nil
}

func (k *Kind[T]) noFile() error { return fmt.Errorf("is not the file of %s", k.Of()) }

// A Dir is a directory of values of one kind. It may be used by any number of processes.
type Dir[T any] struct {
	path     string
	kind     *Kind[T]
	contents *objects.Store
}

// Open returns a directory of a build store, which is made when something is added.
func Open[T any](contents *objects.Store, name string, kind *Kind[T]) *Dir[T] {
	return &Dir[T]{filepath.Join(contents.Dir(), name), kind, contents}
}

// An UnknownError reports that there is nothing of a name.
type UnknownError struct {
	What, Name string
	Known      []string // names of that kind, sorted
}

// Error implements error.
func (e *UnknownError) Error() string { return fmt.Sprintf("there is no %s %q", e.What, e.Name) }

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// Check reports a name that nothing can have; what it would be a name of is given with its article.
func Check(what, name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%.80q is not a name of %s: letters, digits and ._+- are allowed, at most 128, and it begins with a letter or a digit", name, what)
	}
	return nil
}

// Names returns all names, sorted.
func (d *Dir[T]) Names() (list []string, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if names.MatchString(e.Name()) { // others are such as one that was being written when its process was killed
			list = append(list, e.Name())
		}
	}
	return list, nil
}

// List returns all values, sorted by name.
func (d *Dir[T]) List() (list []*T, err error) {
	all, err := d.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		v, err := d.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// Get returns the value of a name. The error is an [*UnknownError] if there is none.
func (d *Dir[T]) Get(name string) (*T, error) {
	if err := Check(d.kind.Of(), name); err != nil {
		return nil, err
	}
	v, err := d.read(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	all, err := d.Names()
	if err != nil {
		return nil, err
	}
	return nil, &UnknownError{d.kind.Word, name, all}
}

// maxFile bounds a file, in bytes.
const maxFile = 16 << 20

func (d *Dir[T]) read(name string) (*T, error) {
	path := filepath.Join(d.path, name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("read %s: %w", path, d.kind.noFile())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v, err := d.kind.Value(name, text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}
