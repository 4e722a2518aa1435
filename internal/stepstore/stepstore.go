// Package stepstore keeps what commands have made of trees: for each command over a tree, by the digest of both, a record that names the layer of changes, and
// the log. A record is complete or not there: it is written beside and renamed. Everything in it may be removed at any time, and is made again.
package stepstore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"imprint/internal/objects"
	"imprint/internal/scratch"

	"golang.org/x/sys/unix"
)

// An ID is the digest of a command and of the tree that it runs over.
type ID = objects.Digest

// A Result is what a command has made.
type Result struct {
	ID    ID
	Name  string // of the command, for people
	On    objects.Digest
	Layer objects.Digest // what has changed
	After []ID           // results that are part of the tree below, the lowest first
	Text  []byte         // whose SHA-256 is the ID; only [Store.Put] looks at it, and it may be nil

	Used time.Time // when it was made or found for the last time; the record does not have it
}

// A Store is a directory of results.
type Store struct{ dir string }

// Open returns the store in a directory, which is made when something is added.
func Open(dir string) *Store { return &Store{dir} }

const version = "imprint step 1\n"

// maxRecord bounds a record, in bytes.
const maxRecord = 16 << 20

// text is the record of a result. Its last line is the digest of those before.
func (r *Result) text() []byte {
	b := fmt.Appendf([]byte(version), "id %s\nname %q\non %s\nlayer %s\n", objects.Text(r.ID), r.Name, objects.Text(r.On), objects.Text(r.Layer))
	for _, id := range r.After {
		b = fmt.Appendf(b, "after %s\n", objects.Text(id))
	}
	return fmt.Appendf(b, "sum %x\n", sha256.Sum256(b))
}

// parse is the inverse of text.
func parse(text []byte) (*Result, error) {
	rest, ok := bytes.CutPrefix(text, []byte(version))
	if !ok {
		return nil, errors.New("is not the record of a step")
	}
	r := &Result{}
	for line := range bytes.Lines(rest) {
		word, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if err := r.field(word, value); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(r.text(), text) {
		return nil, errors.New("does not have the digest in it")
	}
	return r, nil
}

func (r *Result) field(word, value string) (err error) {
	switch word {
	case "id":
		r.ID, err = objects.Parse(value)
	case "name":
		_, err = fmt.Sscanf(value, "%q", &r.Name)
	case "on":
		r.On, err = objects.Parse(value)
	case "layer":
		r.Layer, err = objects.Parse(value)
	case "after":
		var id ID
		id, err = objects.Parse(value)
		r.After = append(r.After, id)
	case "sum":
	default:
		err = errors.New("is not the record of a step")
	}
	return err
}

// The files of a result.
const (
	recordFile = "record"
	logFile    = "log"
	textFile   = "step"
)

func (s *Store) path(id ID, below ...string) string {
	return filepath.Join(append([]string{s.dir, objects.Text(id)}, below...)...)
}

// Get returns a result. Errors match [objects.ErrMissing], or [objects.ErrDamaged] if the record is not as it was written.
func (s *Store) Get(id ID) (*Result, error) {
	path := s.path(id, recordFile)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the step %s %w", objects.Text(id), objects.ErrMissing)
	}
	if err != nil {
		return nil, err
	}
	damaged := func(err any) error { return fmt.Errorf("%s %w: %v", path, objects.ErrDamaged, err) }
	if !info.Mode().IsRegular() || info.Size() > maxRecord {
		return nil, damaged("is not a record")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := parse(text)
	if err != nil {
		return nil, damaged(err)
	}
	if r.ID != id {
		return nil, damaged("is of another step")
	}
	if dir, err := os.Stat(s.path(id)); err == nil {
		r.Used = dir.ModTime()
	}
	return r, nil
}

// All returns all results, and the IDs of damaged ones, both sorted by ID.
func (s *Store) All() (list []*Result, damaged []ID, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, e := range entries {
		id, err := objects.Parse(e.Name())
		if err != nil {
			continue
		}
		switch r, err := s.Get(id); {
		case err == nil:
			list = append(list, r)
		case errors.Is(err, objects.ErrDamaged) || errors.Is(err, objects.ErrMissing):
			damaged = append(damaged, id)
		default:
			return nil, nil, err
		}
	}
	return list, damaged, nil
}

// Layers returns the layers of all results.
func (s *Store) Layers() (list []objects.Digest, err error) {
	all, _, err := s.All()
	for _, r := range all {
		list = append(list, r.Layer)
	}
	return list, err
}

// Put adds a result, whose layer is in the store, and moves its log there. An older one is replaced.
func (s *Store) Put(r *Result, log string) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	d, err := scratch.Dir(s.dir)
	if err != nil {
		return err
	}
	fresh := filepath.Join(d.Path, "new")
	err = os.Mkdir(fresh, 0o700)
	if err == nil {
		err = os.Rename(log, filepath.Join(fresh, logFile))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(fresh, recordFile), r.text(), 0o600)
	}
	if err == nil && r.Text != nil {
		err = os.WriteFile(filepath.Join(fresh, textFile), r.Text, 0o600)
	}
	if err == nil {
		err = os.RemoveAll(s.path(r.ID))
	}
	if err == nil {
		err = os.Rename(fresh, s.path(r.ID))
	}
	return errors.Join(err, os.RemoveAll(fresh), d.Remove())
}

// Remove removes a result, if it is there. The record goes first: without it there is no result.
func (s *Store) Remove(id ID) error {
	if err := os.Remove(s.path(id, recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(s.path(id))
}

// Log opens the log of a result.
func (s *Store) Log(id ID) (*os.File, error) { return os.Open(s.path(id, logFile)) }

// Text returns the text whose SHA-256 is an ID. Errors match [fs.ErrNotExist], or [objects.ErrDamaged] if it is another text.
func (s *Store) Text(id ID) ([]byte, error) {
	f, err := os.Open(s.path(id, textFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err == nil && sha256.Sum256(text) != id {
		err = fmt.Errorf("%s %w", f.Name(), objects.ErrDamaged)
	}
	return text, err
}

// Touch notes that a result was used now.
func (s *Store) Touch(id ID) error {
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, s.path(id), now, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "touch", Path: s.path(id), Err: err}
	}
	return nil
}

// The files that count: their sizes are how often results were found, and how often they were not. Bytes are appended, so that processes need no lock.
const (
	hitsFile   = "hits"
	missesFile = "misses"
)

// Count counts a result that was found, or not. What cannot be counted is not.
func (s *Store) Count(found bool) {
	name := missesFile
	if found {
		name = hitsFile
	}
	if os.MkdirAll(s.dir, 0o700) != nil {
		return
	}
	if f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
		f.Write([]byte{'.'})
		f.Close()
	}
}

// Counts returns how often results were found, and how often they were not.
func (s *Store) Counts() (hits, misses int64) {
	for name, n := range map[string]*int64{hitsFile: &hits, missesFile: &misses} {
		if info, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			*n = info.Size()
		}
	}
	return hits, misses
}

// Sweep removes what killed processes have left.
func (s *Store) Sweep() { scratch.Sweep(s.dir) }

// Dependants returns all results in a list whose trees have one of some results below, those results first. They are in the order of the list.
func Dependants(list []*Result, of ...ID) (all []ID) {
	all = slices.Clone(of)
	for _, r := range list {
		if !slices.Contains(of, r.ID) && slices.ContainsFunc(r.After, func(id ID) bool { return slices.Contains(of, id) }) {
			all = append(all, r.ID)
		}
	}
	return all
}

// Old returns the results that a removal by age takes: those used before a time, at most most of them if it is not negative, the oldest first. A result that
// others depend on is taken only after those.
func Old(list []*Result, before time.Time, most int) (ids []ID) {
	left := slices.SortedStableFunc(slices.Values(list), func(a, b *Result) int { return a.Used.Compare(b.Used) })
	above := map[ID]int{} // how many of what is left have a result below
	count := func(r *Result, n int) {
		for _, id := range r.After {
			above[id] += n
		}
	}
	for _, r := range list {
		count(r, 1)
	}
	for most < 0 || len(ids) < most {
		i := slices.IndexFunc(left, func(r *Result) bool { return r.Used.Before(before) && above[r.ID] == 0 })
		if i < 0 {
			break
		}
		count(left[i], -1)
		ids = append(ids, left[i].ID)
		left = slices.Delete(left, i, i+1)
	}
	return ids
}
