package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs/readervfs"
)

// A view is a snapshot opened by SQLite.
type view struct {
	snapshot         *snapshot
	schema           *Schema
	name             string // of the snapshot, for SQLite
	conn             *sqlite3.Conn
	budget           *budget
	reader           reader
	item, refs, outs *sqlite3.Stmt
}

var views atomic.Uint64

// open opens the snapshot with SQLite and checks the tables.
func (v *view) open(ctx context.Context) (err error) {
	v.budget, v.reader.texts = &budget{ctx, mayStep}, map[string]string{}
	if err := v.snapshot.index(); err != nil {
		return err
	}
	v.name = fmt.Sprintf("imprint-store-%d", views.Add(1))
	readervfs.Create(v.name, v.snapshot)
	limited := sqlite3.WithMaxMemory(context.Background(), maxMemory)
	if v.conn, err = sqlite3.OpenContext(limited, "file:"+v.name+"?vfs=reader&mode=ro&immutable=1"); err != nil {
		return err
	}
	if err = v.restrict(); err == nil {
		err = v.checkSchema()
	}
	if err == nil {
		err = v.prepare()
	}
	return v.cause(err)
}

// restrict turns off features that the database of a store does not use and a hostile one could: those by which reading a table runs code.
func (v *view) restrict() error {
	v.conn.SetInterrupt(v.budget)
	v.conn.Limit(sqlite3.LIMIT_LENGTH, maxValue)
	for _, c := range []struct {
		what sqlite3.DBConfig
		on   bool
	}{
		{sqlite3.DBCONFIG_DEFENSIVE, true},
		{sqlite3.DBCONFIG_ENABLE_TRIGGER, false},
		{sqlite3.DBCONFIG_ENABLE_VIEW, false},
		{sqlite3.DBCONFIG_TRUSTED_SCHEMA, false},
	} {
		if _, err := v.conn.Config(c.what, c.on); err != nil {
			return err
		}
	}
	return v.conn.Exec("pragma cell_size_check=on; pragma temp_store=memory; pragma cache_size=-16000")
}

func (v *view) close() error {
	defer v.snapshot.close()
	defer readervfs.Delete(v.name)
	for _, s := range []*sqlite3.Stmt{v.item, v.refs, v.outs} {
		s.Close()
	}
	return v.conn.Close()
}

// prepare compiles the three queries. The left join makes references to ids that are not registered visible, as rows with a NULL.
func (v *view) prepare() (err error) {
	for stmt, sql := range map[**sqlite3.Stmt]string{
		&v.item: v.schema.selectItem() + " where path = ?",
		&v.refs: "select v.path from Refs r left join ValidPaths v on v.id = r.reference where r.referrer = ?",
		&v.outs: "select id, path from DerivationOutputs where drv = ?",
	} {
		if *stmt, _, err = v.conn.Prepare(sql); err != nil {
			return err
		}
	}
	return nil
}

// checkSchema checks that the database has only tables, indexes and triggers, and the columns that are read. It looks only at the statement in
// a row of the schema, since SQLite executes that, whatever the other columns contain. Triggers do not run when a table is read.
func (v *view) checkSchema() error {
	stmt, _, err := v.conn.Prepare("select substr(sql, 1, 100) from sqlite_schema")
	if err != nil {
		return err
	}
	defer stmt.Close()
	n := 0
	err = v.rows(stmt, func() error {
		if n++; n > maxTables {
			return invalid("unknown schema: more than %d tables, indexes and triggers", maxTables)
		}
		return checkStatement(stmt.ColumnText(0))
	})
	columns := v.schema.columns()
	for _, table := range slices.Sorted(maps.Keys(columns)) {
		if err == nil {
			err = v.checkColumns(table, columns[table])
		}
	}
	return err
}

// checkStatement checks the start of a statement of the schema; the indexes that a table implies have none. SQLite writes these statements
// in a fixed form, without further spaces and comments at their start.
func checkStatement(sql string) error {
	lower := strings.ToLower(sql)
	for _, harmless := range []string{"create table ", "create index ", "create unique index ", "create trigger "} {
		if sql == "" || strings.HasPrefix(lower, harmless) {
			return nil
		}
	}
	return invalid("unknown schema: a store's database has no views and no virtual tables, but this one has %q", sql)
}

// checkColumns checks that a table exists with the given columns, and that these are stored, not computed.
func (v *view) checkColumns(table string, names []string) error {
	stmt, _, err := v.conn.Prepare("pragma main.table_xinfo(" + table + ")")
	if err != nil {
		return err
	}
	defer stmt.Close()
	var have []string
	err = v.rows(stmt, func() error {
		const name, hidden = 1, 6
		if stmt.ColumnInt(hidden) != 0 {
			return invalid("unknown schema: column %q of table %s is generated", stmt.ColumnText(name), table)
		}
		have = append(have, stmt.ColumnText(name))
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(have) == 0:
		return invalid("unknown schema: no table %s", table)
	}
	for _, n := range names {
		if !slices.Contains(have, n) {
			return invalid("not %s: table %s has no column %s, only %.20q", v.schema.name, table, n, have[:min(len(have), 20)])
		}
	}
	return nil
}

// rows runs a statement to its end and resets it.
func (v *view) rows(stmt *sqlite3.Stmt, row func() error) error {
	return v.rowsUpTo(maxRows, stmt, row)
}

func (v *view) rowsUpTo(most int, stmt *sqlite3.Stmt, row func() error) error {
	defer stmt.Reset()
	defer v.earn()
	for n := 0; stmt.Step(); n++ {
		if n == most {
			return invalid("more than %d rows", most)
		}
		if err := row(); err != nil {
			return err
		}
		v.earn()
	}
	return v.cause(stmt.Err())
}

// read returns the rows of a path.
func (v *view) read(path string) (*Item, error) {
	id, item, err := v.readItem(path)
	if err != nil {
		return nil, within(path, err)
	}
	if err := v.readReferences(id, item); err != nil {
		return nil, within(path+": references", err)
	}
	if err := v.readOutputs(id, item); err != nil {
		return nil, within(path+": outputs", err)
	}
	return item, item.finish()
}

// readItem reads the row of a path in ValidPaths, and its ID for the other tables. A second row means that the unique index is damaged.
func (v *view) readItem(path string) (id int64, item *Item, err error) {
	if err := v.item.BindText(1, path); err != nil {
		return 0, nil, err
	}
	err = v.rows(v.item, func() (err error) {
		if item != nil {
			return invalid("registered twice")
		}
		id = v.item.ColumnInt64(0)
		item, err = v.reader.item(pathRowOf(v.item), path)
		return err
	})
	if err == nil && item == nil {
		err = ErrNotFound
	}
	return id, item, err
}

// pathRowOf is the current row of a query for the columns of [Schema.selectItem].
func pathRowOf(s *sqlite3.Stmt) pathRow {
	row := pathRow{s.ColumnRawText(1), s.ColumnRawText(2), s.ColumnRawText(4), s.ColumnRawText(5), s.ColumnRawText(6), 0}
	if s.ColumnType(3) == sqlite3.INTEGER {
		row.size = s.ColumnInt64(3)
	}
	return row
}

func (v *view) readReferences(id int64, item *Item) error {
	return errors.Join(v.refs.BindInt64(1, id), v.rows(v.refs, func() error {
		if v.refs.ColumnType(0) != sqlite3.TEXT {
			return invalid("one of them is not registered")
		}
		return v.reader.reference(item, v.refs.ColumnRawText(0))
	}))
}

func (v *view) readOutputs(id int64, item *Item) error {
	return errors.Join(v.outs.BindInt64(1, id), v.rows(v.outs, func() error {
		return v.reader.output(item, v.outs.ColumnRawText(0), v.outs.ColumnRawText(1))
	}))
}

// paths returns every valid path.
func (v *view) paths() (paths []string, err error) {
	stmt, _, err := v.conn.Prepare("SELECT path FROM ValidPaths ORDER BY id")
	if err != nil {
		return nil, v.cause(err)
	}
	defer stmt.Close()
	err = v.rowsUpTo(maxAllItems, stmt, func() error {
		path, err := v.reader.text(stmt.ColumnRawText(0), "path", maxPath)
		paths = append(paths, path)
		return err
	})
	return paths, err
}
