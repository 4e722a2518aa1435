package db

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/serdes"
)

// Write returns the database of a store that has just these items, registered at epoch (seconds since 1970, above 0). Signatures and content
// addresses are left out if the schema has none. Items get their ids in the given order. An item must come after everything it refers to, and only once. The bytes depend on the arguments alone: pages have
// 4096 bytes, there is no write-ahead log, and the header names a fixed version of SQLite.
func Write(schema *Schema, items []Item, epoch int64) ([]byte, error) {
	return inMemory(schema, func(conn *sqlite3.Conn) error { return fill(conn, schema, items, epoch) })
}

// inMemory returns the file of the database that fill makes in memory.
func inMemory(schema *Schema, fill func(*sqlite3.Conn) error) ([]byte, error) {
	conn, err := sqlite3.Open(":memory:")
	if err != nil {
		return nil, fmt.Errorf("write store database: %v", err)
	}
	defer conn.Close()
	if err := fill(conn); err != nil {
		return nil, fmt.Errorf("write store database: %v", err)
	}
	file, err := serdes.Serialize(conn, "main")
	if err != nil {
		return nil, fmt.Errorf("write store database: %v", err)
	}
	normalise(file)
	return file, nil
}

// bulk sets a connection to a database in memory up for adding many rows.
const bulk = "pragma page_size=4096; pragma foreign_keys=off; pragma journal_mode=off;"

// fill makes the tables and adds the items in one transaction. It needs no journal, since an error discards the database; SQLite does not check
// foreign keys, since rowWriter does, with better messages.
func fill(conn *sqlite3.Conn, schema *Schema, items []Item, epoch int64) error {
	if err := conn.Exec(bulk + schema.statements + "begin"); err != nil {
		return err
	}
	w := &rowWriter{conn: conn, schema: schema, epoch: epoch, ids: make(map[string]int64, len(items))}
	defer w.close()
	if err := w.prepare(); err != nil {
		return err
	}
	for _, item := range items {
		if err := w.add(item); err != nil {
			return fmt.Errorf("%s: %v", item.Path, err)
		}
	}
	return conn.Exec("commit")
}

// A rowWriter adds items to an open database.
type rowWriter struct {
	conn              *sqlite3.Conn
	schema            *Schema
	epoch             int64
	replaces          bool // references and outputs may be there
	ids               map[string]int64
	path, ref, output *sqlite3.Stmt
}

func (w *rowWriter) prepare() error {
	verb := "insert"
	if w.replaces {
		verb = "insert or replace"
	}
	for _, s := range []struct {
		stmt **sqlite3.Stmt
		sql  string
	}{
		{&w.path, w.schema.insertion()},
		{&w.ref, verb + " into Refs (referrer, reference) values (?, ?)"},
		{&w.output, verb + " into DerivationOutputs (drv, id, path) values (?, ?, ?)"},
	} {
		var err error
		if *s.stmt, _, err = w.conn.Prepare(s.sql); err != nil {
			return err
		}
	}
	return nil
}

func (w *rowWriter) close() {
	for _, s := range []*sqlite3.Stmt{w.path, w.ref, w.output} {
		s.Close()
	}
}

// add adds an item and its rows in the other tables. Its id is the number of items so far, since the column counts up from 1.
func (w *rowWriter) add(item Item) error {
	if _, twice := w.ids[item.Path]; twice {
		return fmt.Errorf("duplicate item")
	}
	if err := w.addPath(item); err != nil {
		return err
	}
	err := w.references(item, func(path string) (int64, error) {
		id, ok := w.ids[path]
		if !ok {
			return 0, fmt.Errorf("refers to %s, which does not come before it", path)
		}
		return id, nil
	})
	if err != nil {
		return err
	}
	return w.outputs(item)
}

// addPath adds the row of an item.
func (w *rowWriter) addPath(item Item) error {
	if w.epoch <= 0 || item.NARSize <= 0 {
		return fmt.Errorf("registration time %d and NAR size %d must be above 0", w.epoch, item.NARSize)
	}
	if err := insert(w.path, append(w.schema.values(item), w.epoch, orNull(item.Deriver))...); err != nil {
		return err
	}
	w.ids[item.Path] = w.conn.LastInsertRowID()
	return nil
}

// references adds the rows of what an item refers to, given what returns the ids of paths.
func (w *rowWriter) references(item Item, id func(path string) (int64, error)) error {
	from := w.ids[item.Path]
	for _, r := range item.References {
		target, err := id(r)
		if err != nil {
			return err
		}
		if err := insert(w.ref, from, target); err != nil {
			return fmt.Errorf("reference to %s: %v", r, err)
		}
	}
	return nil
}

// outputs adds the rows of a derivation's outputs.
func (w *rowWriter) outputs(item Item) error {
	for _, o := range item.Outputs {
		if err := insert(w.output, w.ids[item.Path], o.ID, o.Path); err != nil {
			return fmt.Errorf("output %s: %v", o.ID, err)
		}
	}
	return nil
}

// values are the columns that follow from the content of an item and those who vouch for it, the path last.
func (s *Schema) values(item Item) []any {
	row := []any{"sha256:" + hex.EncodeToString(item.NARHash[:]), item.NARSize}
	if s.signed {
		row = append(row, orNull(strings.Join(item.Sigs, " ")), orNull(item.CA))
	}
	return append(row, item.Path)
}

// orNull is NULL for the empty text, which Nix never writes.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// insert runs a statement with texts, numbers and nils.
func insert(stmt *sqlite3.Stmt, values ...any) error {
	for i, v := range values {
		var err error
		switch v := v.(type) {
		case string:
			err = stmt.BindText(i+1, v)
		case int64:
			err = stmt.BindInt64(i+1, v)
		default:
			err = stmt.BindNull(i + 1)
		}
		if err != nil {
			return err
		}
	}
	return stmt.Exec()
}

// Fields of the database header (section 1.3 of the SQLite file format).
const (
	writeVersionAt  = 18 // and the read version in the next byte: 1 for a rollback journal, 2 for a write-ahead log
	pageCountAt     = 28
	changeCounterAt = 24
	validForAt      = 92 // the change counter at which pageCountAt was valid
	sqliteVersionAt = 96
	headerSize      = 100
	statedSQLite    = 3_040_001
)

// normalise sets the fields of the header that depend on how the database was made: the change counter, and the version of SQLite.
func normalise(file []byte) {
	file[writeVersionAt], file[writeVersionAt+1] = 1, 1
	binary.BigEndian.PutUint32(file[changeCounterAt:], 1)
	binary.BigEndian.PutUint32(file[validForAt:], 1)
	binary.BigEndian.PutUint32(file[sqliteVersionAt:], statedSQLite)
}
