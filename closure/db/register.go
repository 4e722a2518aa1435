package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imprint/internal/scratch"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/vfs" // reads and writes files, with SQLite's own locks
)

// A Registration is what [Register] adds to a database.
type Registration struct {
	Items []Item // in any order; what they refer to is among them, or valid already
	Epoch int64  // when they are registered, in seconds since 1970, above 0
	Again bool   // registers valid items again: hash, size, signatures and content address change, references are added
}

// patient is how long Register waits for another writer.
const patient = time.Minute

// Register registers items in the database file of a store, which may be in use; other programs see all of them or none. Items that are valid
// already are skipped. A database that is not there is created, with a write-ahead log, as Nix and Guix use it. Errors are those of [Open], or name
// an item whose reference is neither valid nor among the items.
func Register(ctx context.Context, schema *Schema, path string, r Registration) error {
	if r.Epoch <= 0 {
		return fmt.Errorf("registration time %d must be above 0", r.Epoch)
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		err := create(schema, path, r)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	source, err := Open(ctx, schema, path) // whose checks a hostile database does not pass
	if err != nil {
		return err
	}
	source.Close()
	if err := guard(func() error { return add(ctx, schema, path, r) }); err != nil {
		return fmt.Errorf("register in %s: %w", path, err)
	}
	return nil
}

// Recover makes a database on a disk readable after a writer was killed, and gives it a write-ahead log, as Nix and Guix do when they open one: what
// a killed writer leaves of a transaction in a log disturbs no reader, while a rollback journal does.
func Recover(ctx context.Context, path string) error {
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	mode := []byte{0}
	if _, err := f.ReadAt(mode, writeVersionAt); err != nil || mode[0] == 2 {
		return nil // Open finds what is wrong
	}
	err = guard(func() error {
		conn, err := openWritable(ctx, path)
		if err != nil {
			return err
		}
		return errors.Join(conn.Exec("pragma journal_mode=wal"), conn.Close())
	})
	if err != nil {
		return fmt.Errorf("open %s for writing: %w", path, sqliteError(err))
	}
	return nil
}

// openWritable opens a database on a disk to change it.
func openWritable(ctx context.Context, path string) (*sqlite3.Conn, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	conn, err := sqlite3.OpenFlags("file:"+escaped(path), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI)
	if err != nil {
		return nil, err
	}
	conn.SetInterrupt(ctx)
	setup := fmt.Sprintf("pragma busy_timeout=%d; pragma foreign_keys=on; pragma synchronous=normal; pragma cache_size=-64000", patient.Milliseconds())
	if err := conn.Exec(setup); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// create makes a database at a path where there is none, in memory and without indexes until all rows are there, which is much faster.
func create(schema *Schema, path string, r Registration) error {
	file, err := inMemory(schema, func(conn *sqlite3.Conn) error {
		tables, indexes := schema.parts()
		if err := conn.Exec(bulk + tables + "begin"); err != nil {
			return err
		}
		if err := registerAll(conn, schema, r); err != nil {
			return err
		}
		return conn.Exec("commit;" + indexes)
	})
	if err != nil {
		return err
	}
	file[writeVersionAt], file[writeVersionAt+1] = 2, 2
	return place(path, file)
}

// place gives a content a name that is not taken.
func place(path string, content []byte) error {
	f, remove, err := scratch.Create(filepath.Dir(path), path+" (new)")
	if err != nil {
		return err
	}
	defer remove()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync()); err != nil {
		return err
	}
	return scratch.Link(f, path)
}

// parts splits the statements of a schema into those of the tables and triggers, and those of the indexes.
func (s *Schema) parts() (tables, indexes string) {
	for line := range strings.Lines(s.statements) {
		if strings.HasPrefix(line, "create index") {
			indexes += line
		} else {
			tables += line
		}
	}
	return tables, indexes
}

// add adds items to a database on a disk, in one transaction.
func add(ctx context.Context, schema *Schema, path string, r Registration) error {
	conn, err := openWritable(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Exec("begin immediate"); err != nil {
		return err
	}
	empty, err := isEmpty(conn)
	if err != nil {
		return err
	}
	_, indexes := schema.parts()
	if empty { // they are made faster when all rows are there
		if err := conn.Exec(drops(indexes)); err != nil {
			return err
		}
	}
	if err := registerAll(conn, schema, r); err != nil {
		return err
	}
	if empty {
		if err := conn.Exec(indexes); err != nil {
			return err
		}
	}
	return conn.Exec("commit")
}

// isEmpty reports whether nothing is registered.
func isEmpty(conn *sqlite3.Conn) (bool, error) {
	stmt, _, err := conn.Prepare("select 1 from ValidPaths limit 1")
	if err != nil {
		return false, err
	}
	defer stmt.Close()
	return !stmt.Step(), stmt.Err()
}

// drops returns the statements that drop the indexes of a schema.
func drops(indexes string) (statements string) {
	for line := range strings.Lines(indexes) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "create index "), " ")
		statements += "drop index if exists " + name + ";"
	}
	return statements
}

// escaped returns a path for a URI.
func escaped(path string) string {
	return strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

// registerAll adds the rows of all items, and then those of their references.
func registerAll(conn *sqlite3.Conn, schema *Schema, r Registration) error {
	w := &rowWriter{conn: conn, schema: schema, epoch: r.Epoch, replaces: true, ids: make(map[string]int64, len(r.Items))}
	defer w.close()
	if err := w.prepare(); err != nil {
		return err
	}
	k := &known{rowWriter: w, again: r.Again}
	if err := k.prepare(); err != nil {
		return err
	}
	defer k.close()
	for _, item := range r.Items {
		if err := k.path(item); err != nil {
			return fmt.Errorf("%s: %w", item.Path, err)
		}
	}
	for _, item := range k.added {
		if err := w.references(item, k.id); err != nil {
			return fmt.Errorf("%s: %w", item.Path, err)
		}
	}
	return nil
}

// known adds rows to a database that may have some of them.
type known struct {
	*rowWriter
	again        bool
	find, update *sqlite3.Stmt
	added        []Item // whose references are to be added
}

func (k *known) prepare() (err error) {
	if k.find, _, err = k.conn.Prepare("select id from ValidPaths where path = ?"); err != nil {
		return err
	}
	k.update, _, err = k.conn.Prepare(k.schema.change())
	return err
}

func (k *known) close() {
	k.find.Close()
	k.update.Close()
}

// path adds the row of an item and of its outputs.
func (k *known) path(item Item) error {
	if _, twice := k.ids[item.Path]; twice {
		return errors.New("duplicate item")
	}
	id, err := k.id(item.Path)
	switch {
	case err == nil && !k.again:
		return nil
	case err == nil:
		if err := insert(k.update, k.schema.values(item)...); err != nil {
			return err
		}
		k.ids[item.Path] = id
	case errors.Is(err, ErrNotFound):
		if err := k.addPath(item); err != nil {
			return err
		}
	default:
		return err
	}
	k.added = append(k.added, item)
	return k.outputs(item)
}

// id returns the id of a path in the database.
func (k *known) id(path string) (id int64, err error) {
	if id, ok := k.ids[path]; ok {
		return id, nil
	}
	if err := k.find.BindText(1, path); err != nil {
		return 0, err
	}
	defer k.find.Reset()
	if !k.find.Step() {
		if err := k.find.Err(); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%s is %w", path, ErrNotFound)
	}
	return k.find.ColumnInt64(0), nil
}
