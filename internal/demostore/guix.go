package demostore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// addGuixSystem adds a system in Guix's form, Guix's database below the root of the store, and the graph of references dir/graph.
func (s *Store) addGuixSystem(dir string, add func(*Store) (Item, error)) (Item, error) {
	base, err := add(s)
	if err != nil {
		return Item{}, err
	}
	system, err := s.Add("system", base.References, func(path string) error { return guixSystem(path, s.Host(base.Path)) })
	if err != nil {
		return Item{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "graph"), []byte(s.graph(system.Path)), 0o644); err != nil {
		return Item{}, err
	}
	return system, s.guixDatabase()
}

// guixSystem writes to path what Guix calls a system, from one of ours: kernel is a link to the directory of the kernel, boot the program that
// the initrd starts.
func guixSystem(path, from string) error {
	if err := os.CopyFS(path, os.DirFS(from)); err != nil {
		return err
	}
	kernel := filepath.Join(path, "kernel")
	image, err := os.Readlink(kernel)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(path, "init"), filepath.Join(path, "boot")); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(path, "sw"), filepath.Join(path, "profile")); err != nil {
		return err
	}
	return relink(filepath.Dir(image), kernel)
}

// graph returns the graph of references of an item's closure: for each item its path, an empty line for the deriver, the number of references,
// and the references (gnu/build, store-copy.scm: read-reference-graph).
func (s *Store) graph(root string) string {
	in := map[string]bool{}
	for todo := []string{root}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !in[at] {
			in[at] = true
			todo = append(todo, s.items[at].References...)
		}
	}
	var b strings.Builder
	for _, i := range s.Items() {
		if in[i.Path] {
			fmt.Fprintf(&b, "%s\n\n%d\n%s", i.Path, len(i.References), strings.Join(append(i.References, ""), "\n"))
		}
	}
	return b.String()
}

// guixTables are those of guix/store/schema.sql, schema 7.
const guixTables = `pragma journal_mode = wal;
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null, hash text not null,
  registrationTime integer not null, deriver text, narSize integer);
create table Refs (referrer integer not null, reference integer not null, primary key (referrer, reference),
  foreign key (referrer) references ValidPaths(id) on delete cascade, foreign key (reference) references ValidPaths(id) on delete restrict);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths begin delete from Refs where referrer = old.id and reference = old.id; end;
create table DerivationOutputs (drv integer not null, id text not null, path text not null, primary key (drv, id),
  foreign key (drv) references ValidPaths(id) on delete cascade);
create index IndexDerivationOutputs on DerivationOutputs(path);
create table FailedPaths (path text primary key not null, time integer not null);
begin;
`

// guixDatabase registers all items in Guix's database, as its daemon leaves it: in WAL mode, with the version beside it.
func (s *Store) guixDatabase() error {
	dir := filepath.Join(s.root, "var/guix/db")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "schema"), []byte("7"), 0o644); err != nil {
		return err
	}
	conn, err := sqlite3.Open("file:" + filepath.Join(dir, "db.sqlite"))
	if err != nil {
		return err
	}
	defer conn.Close()
	var rows strings.Builder
	for _, i := range s.Items() { // base32 and names need no quoting
		fmt.Fprintf(&rows, "insert into ValidPaths (path, hash, registrationTime, narSize) values ('%s', 'sha256:%x', 1700000000, %d);\n", i.Path, i.Hash, i.NARSize)
	}
	for _, i := range s.Items() {
		for _, r := range i.References {
			fmt.Fprintf(&rows, "insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b where a.path = '%s' and b.path = '%s';\n", i.Path, r)
		}
	}
	if err := conn.Exec(guixTables + rows.String() + "commit"); err != nil {
		return fmt.Errorf("write Guix's database: %v", err)
	}
	return nil
}
