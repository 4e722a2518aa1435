package closure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"imprint/closure/db"
	"imprint/internal/tree"
)

// A NixStore is a store on this machine that has a database. It may be in use.
type NixStore struct {
	hostStore
	database *db.Source
}

// contentAddress matches content addresses (content-address.cc).
var contentAddress = regexp.MustCompile(`^(text|fixed(:r)?|fixed:git):(md5|sha1|sha256|sha512|blake3):[0-9a-z]+$`)

// A hostStore is a store directory on this machine.
type hostStore struct {
	prefix string // what comes before the store directory on this machine: "", or a path such as "/mnt"
	flavor Flavor
	read   ReadFunc
}

// OpenNix opens the store below prefix: "" or "/" for the store of this machine, "/mnt" for one whose items are in /mnt/nix/store. The
// error wraps [fs.ErrNotExist] when there is no database.
func OpenNix(ctx context.Context, prefix string, f Flavor, read ReadFunc) (*NixStore, error) {
	s := &NixStore{hostStore: newHostStore(prefix, f, read)}
	dir := s.prefix + f.StateDir + "/db/"
	version, err := os.ReadFile(dir + "schema")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open store: %w", err)
	}
	// Nix accepts a database without a version, and so do we: its tables are checked anyway.
	if v := strings.TrimSpace(string(version)); err == nil && v != f.Schema {
		return nil, fmt.Errorf("open store: %sschema has version %.20q, only %s is supported", dir, v, f.Schema)
	}
	if s.database, err = db.Open(ctx, dir+"db.sqlite"); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// newHostStore makes the part that both kinds of stores have in common. A prefix of "/" is the same as none.
func newHostStore(prefix string, f Flavor, read ReadFunc) hostStore {
	return hostStore{prefix: strings.TrimRight(prefix, "/"), flavor: f, read: read}
}

// Close closes the database.
func (s *NixStore) Close() error { return s.database.Close() }

// String is the store directory on this machine.
func (s hostStore) String() string { return s.prefix + s.flavor.StoreDir }

// Info implements [Store]. What the database says is checked as far as that is possible without the items.
func (s *NixStore) Info(ctx context.Context, p Path) (*Info, error) {
	row, err := s.database.Item(ctx, p.String())
	if errors.Is(err, db.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", p, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	// Everything from the database ends up in the image's database, so it must be well-formed.
	if row.Deriver != "" {
		if _, err := s.flavor.ParsePath(row.Deriver); err != nil {
			return nil, fmt.Errorf("read store database: deriver of %s: %v", p, err)
		}
	}
	if row.CA != "" && !contentAddress.MatchString(row.CA) {
		return nil, fmt.Errorf("read store database: %s has the invalid content address %q", p, row.CA)
	}
	info := &Info{Path: p, NARHash: row.NARHash, NARSize: row.NARSize, Deriver: row.Deriver, CA: row.CA, Sigs: row.Sigs}
	for _, r := range row.References {
		reference, err := s.flavor.ParsePath(r)
		if err != nil {
			return nil, fmt.Errorf("read store database: %s: %v", p, err)
		}
		info.References = append(info.References, reference)
	}
	for _, o := range row.Outputs {
		output, err := s.flavor.ParsePath(o.Path)
		if err != nil {
			return nil, fmt.Errorf("read store database: %s: output %s: %v", p, o.ID, err)
		}
		info.Outputs = append(info.Outputs, Output{o.ID, output})
	}
	return info, nil
}

// Item implements [Store].
func (s hostStore) Item(ctx context.Context, path Path) (*tree.Node, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, err := s.read(s.prefix + path.String())
	if err != nil {
		return nil, fmt.Errorf("read store item: %w", err)
	}
	if n, err = Canonical(path.Base(), n); err != nil {
		return nil, fmt.Errorf("read store item %s%s: %v", s.prefix, path, err)
	}
	return n, nil
}
