package closure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"

	"imprint/closure/db"
	"imprint/internal/tree"
)

// A LocalStore is a store on this machine that has a database. It may be in use.
type LocalStore struct {
	hostStore
	path     string // of the database
	database *db.Source
}

// contentAddress matches content addresses (content-address.cc). signature matches the name of a key, a colon and any text: today this is base64
// (crypto.cc), but other forms may come.
var (
	contentAddress = regexp.MustCompile(`^(text|fixed(:r)?|fixed:git):(md5|sha1|sha256|sha512|blake3):[0-9a-z]+$`)
	signature      = regexp.MustCompile(`^[!-9;-~]+:[!-~]+$`)
)

// A hostStore is a store directory on this machine.
type hostStore struct {
	prefix string // path before the store directory on this machine: "", or one such as "/mnt"
	flavor Flavor
	read   ReadFunc
}

// OpenLocal opens the store below prefix: "" or "/" for the store of this machine, "/mnt" for one whose items are in /mnt/nix/store. The
// error wraps [fs.ErrNotExist] if there is no database. The store is shown as of one moment, unless its database cannot be locked. It should be
// closed soon, since the database's log is not written back while it is open.
func OpenLocal(ctx context.Context, prefix string, f Flavor, read ReadFunc) (*LocalStore, error) {
	s := &LocalStore{hostStore: newHostStore(prefix, f, read)}
	dir := s.prefix + f.StateDir + "/db/"
	if err := checkVersion(dir+"schema", f.Schema); err != nil {
		return nil, err
	}
	s.path = dir + "db.sqlite"
	var err error
	if s.database, err = db.Open(ctx, s.flavor.tables, s.path); err != nil {
		return nil, ofDatabase(err)
	}
	return s, nil
}

// checkVersion checks the version of a database. Nix and Guix accept one without a version, and so do we: its tables are checked anyway.
func checkVersion(file, want string) error {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return invalid("%s is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 100))
	if v := strings.TrimSpace(string(text)); err == nil && v != want {
		return invalid("store database %s has version %.20q, only %s is supported", file, v, want)
	}
	return err
}

func newHostStore(prefix string, f Flavor, read ReadFunc) hostStore {
	return hostStore{prefix: strings.TrimRight(prefix, "/"), flavor: f, read: read}
}

// Close closes the database. After that, items can still be read, but not looked up.
func (s *LocalStore) Close() error { return s.database.Close() }

// String returns the store directory on this machine.
func (s hostStore) String() string { return s.prefix + s.flavor.StoreDir }

// HostPath returns where an item is on this machine.
func (s hostStore) HostPath(p Path) string { return s.prefix + p.String() }

// Flavor returns the flavor of the store.
func (s *LocalStore) Flavor() Flavor { return s.flavor }

// Paths is that of a [TreeStore].
func (s *LocalStore) Paths(ctx context.Context) ([]Path, error) {
	return s.flavor.paths(ctx, s.database)
}

// Infos is that of a [TreeStore].
func (s *LocalStore) Infos(ctx context.Context) ([]*Info, error) {
	return s.flavor.infos(ctx, s.database)
}

// Info implements [Store].
func (s *LocalStore) Info(ctx context.Context, p Path) (*Info, error) {
	row, err := s.database.Item(ctx, p.String())
	if errors.Is(err, db.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", p, ErrNotFound)
	}
	if err != nil {
		return nil, ofDatabase(err)
	}
	info, err := s.flavor.Registered(p, row)
	if err != nil {
		return nil, invalid("store database %s: %v: %v", s.path, p, err)
	}
	return info, nil
}

// Registered returns the registration of an item that a database or another source says. It is checked as far as that is possible without the
// item.
func (f Flavor) Registered(p Path, row *db.Item) (*Info, error) {
	if row.NARSize <= 0 || row.NARSize > maxNARSize {
		return nil, fmt.Errorf("NAR size %d is not a number of bytes from 1 to %d", row.NARSize, int64(maxNARSize))
	}
	if row.Deriver != "" {
		if _, err := f.ParsePath(row.Deriver); err != nil {
			return nil, fmt.Errorf("deriver: %w", err)
		}
	}
	if row.CA != "" && !contentAddress.MatchString(row.CA) {
		return nil, fmt.Errorf("invalid content address %.100q", row.CA)
	}
	for _, s := range row.Sigs {
		if !signature.MatchString(s) {
			return nil, fmt.Errorf("invalid signature %.100q", s)
		}
	}
	info := &Info{Path: p, NARHash: row.NARHash, NARSize: row.NARSize, Deriver: row.Deriver, CA: row.CA, Sigs: row.Sigs}
	for _, r := range row.References {
		reference, err := f.ParsePath(r)
		if err != nil {
			return nil, fmt.Errorf("reference: %w", err)
		}
		info.References = append(info.References, reference)
	}
	for _, o := range row.Outputs {
		output, err := f.output(o.ID, o.Path)
		if err != nil {
			return nil, err
		}
		info.Outputs = append(info.Outputs, output)
	}
	return info, nil
}

// output checks an output of a derivation, whose ID is part of the name of its path.
func (f Flavor) output(id, path string) (Output, error) {
	if _, err := checkName(id); err != nil {
		return Output{}, fmt.Errorf("output %.100q: invalid name", id)
	}
	p, err := f.ParsePath(path)
	if err != nil {
		return Output{}, fmt.Errorf("output %s: %w", id, err)
	}
	return Output{id, p}, nil
}

// State returns the state directory on this machine.
func (s *LocalStore) State() string { return s.prefix + s.flavor.StateDir }

// Valid reports which items are valid.
func (s *LocalStore) Valid(ctx context.Context, items []Path) (map[Path]bool, error) {
	valid := map[Path]bool{}
	for _, p := range items {
		is, err := s.database.Valid(ctx, p.String())
		if err != nil {
			return nil, ofDatabase(err)
		}
		if is {
			valid[p] = true
		}
	}
	return valid, nil
}

// Check looks up again, in the database as it is now, whether items are valid. The error is a [*GoneError] if one is not.
func (s *LocalStore) Check(ctx context.Context, items []Path) error {
	now, err := OpenLocal(ctx, s.prefix, s.flavor, s.read)
	if err != nil {
		return err
	}
	defer now.Close()
	valid, err := now.Valid(ctx, items)
	for _, p := range items {
		if err == nil && !valid[p] {
			err = &GoneError{p}
		}
	}
	return err
}

// Item implements [Store]. The error is a [*GoneError] if the item was deleted after the store was opened.
func (s *LocalStore) Item(ctx context.Context, p Path) (*tree.Node, error) {
	n, err := s.hostStore.Item(ctx, p)
	if errors.Is(err, fs.ErrNotExist) && s.gone(ctx, p) {
		err = &GoneError{p}
	}
	return n, err
}

// gone reports whether an item is no longer valid. An item is removed from the database before it is deleted.
func (s *LocalStore) gone(ctx context.Context, p Path) bool {
	now, err := db.Open(ctx, s.flavor.tables, s.path)
	if err != nil {
		return false
	}
	defer now.Close()
	_, err = now.Item(ctx, p.String())
	return errors.Is(err, db.ErrNotFound)
}

// Item implements [Store].
func (s hostStore) Item(ctx context.Context, path Path) (*tree.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := s.read(s.HostPath(path))
	var failed syscall.Errno
	if err != nil && !errors.As(err, &failed) { // it was read, but contains something that a tree cannot hold
		err = invalid("%v", err)
	}
	if err != nil {
		return nil, err
	}
	if n, err = Canonical(path.Base(), n); err != nil {
		return nil, invalid("store item %s%s: %v", s.prefix, path, err)
	}
	return n, nil
}
