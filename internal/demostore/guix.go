package demostore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// addGuixSystem adds two generations of a system in Guix's form, Guix's database below the root of the store, the graph of references dir/graph of
// the second, and a link dir/system-1 to the first. It returns the second.
func (s *Store) addGuixSystem(dir string, add func(*Store) (Item, error)) (system Item, err error) {
	base, err := add(s)
	if err != nil {
		return Item{}, err
	}
	for n := 1; n <= 2 && err == nil; n++ {
		if system, err = s.addGuixGeneration(base, n); n == 1 && err == nil {
			err = relink(system.Path, filepath.Join(dir, "system-1"))
		}
	}
	if err != nil {
		return Item{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "graph"), []byte(s.graph(system.Path)), 0o644); err != nil {
		return Item{}, err
	}
	return system, s.guixDatabase()
}

// addGuixGeneration adds what Guix calls a system, from one of ours: kernel is a link to the directory of the kernel, boot the program that the
// initrd starts, parameters says how it boots, from a root file system with the label "guix-root".
func (s *Store) addGuixGeneration(base Item, n int) (Item, error) {
	from := s.Host(base.Path)
	image, err := os.Readlink(filepath.Join(from, "kernel"))
	if err != nil {
		return Item{}, err
	}
	initrd, err := os.Readlink(filepath.Join(from, "initrd"))
	if err != nil {
		return Item{}, err
	}
	return s.Add("system", base.References, func(path string) error {
		if err := os.CopyFS(path, os.DirFS(from)); err != nil {
			return err
		}
		for old, name := range map[string]string{"init": "boot", "sw": "profile"} {
			if err := os.Rename(filepath.Join(path, old), filepath.Join(path, name)); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(path, "parameters"), []byte(parameters(image, initrd, n)), 0o644); err != nil {
			return err
		}
		return relink(filepath.Dir(image), filepath.Join(path, "kernel"))
	})
}

// parameters is the file of that name (gnu/system.scm, operating-system-boot-parameters-file).
func parameters(kernel, initrd string, n int) string {
	return fmt.Sprintf(`(boot-parameters (version 1) (label "GNU with Linux %d.0") (root-device (file-system-label "guix-root")) (kernel %q) `+
		`(kernel-arguments ("panic=-1" "quiet" "generation=%d")) (initrd %q) (bootloader-name grub-efi) (bootloader-menu-entries ()) `+
		`(locale "en_US.utf8") (store (device (file-system-label "guix-root")) (mount-point "/") (directory-prefix #f) (crypto-devices ())))`+"\n",
		n, kernel, n, initrd)
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
