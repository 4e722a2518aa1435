package db

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs/readervfs"
)

// Limits on the memory that a hostile database can make SQLite and us use.
const (
	maxMemory = 64 << 20 // bytes for SQLite
	maxValue  = 1 << 20  // bytes in a value or a row
	maxRows   = 1 << 18  // references, or outputs, of one item
)

// A view is a snapshot opened by SQLite.
type view struct {
	snapshot         *snapshot
	name             string // of the snapshot, for SQLite
	conn             *sqlite3.Conn
	item, refs, outs *sqlite3.Stmt
}

var views atomic.Uint64

// open opens the snapshot with SQLite and checks the tables.
func (v *view) open() (err error) {
	if err := v.snapshot.index(); err != nil {
		return err
	}
	v.name = fmt.Sprintf("imprint-store-%d", views.Add(1))
	readervfs.Create(v.name, v.snapshot)
	ctx := sqlite3.WithMaxMemory(context.Background(), maxMemory)
	if v.conn, err = sqlite3.OpenContext(ctx, "file:"+v.name+"?vfs=reader&mode=ro&immutable=1"); err != nil {
		return err
	}
	v.conn.Limit(sqlite3.LIMIT_LENGTH, maxValue)
	// A schema can hold expressions, which must not call functions with side effects.
	if err := v.conn.Exec("pragma trusted_schema=off; pragma cell_size_check=on; pragma temp_store=memory"); err != nil {
		return err
	}
	if err := v.checkSchema(); err != nil {
		return err
	}
	return v.prepare()
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
		&v.item: "select id, hash, narSize, deriver, sigs, ca from ValidPaths where path = ?",
		&v.refs: "select v.path from Refs r left join ValidPaths v on v.id = r.reference where r.referrer = ?",
		&v.outs: "select id, path from DerivationOutputs where drv = ?",
	} {
		if *stmt, _, err = v.conn.Prepare(sql); err != nil {
			return err
		}
	}
	return nil
}

// checkSchema checks that each table is a real one, not a view or a virtual table, and has the columns that are read.
func (v *view) checkSchema() error {
	for _, table := range []string{"ValidPaths", "Refs", "DerivationOutputs"} {
		real, err := v.column("select name from sqlite_schema where type = 'table' and rootpage > 0 and name = ?", table)
		if err != nil {
			return err
		}
		if len(real) != 1 {
			return fmt.Errorf("unknown schema: no table %s", table)
		}
		have, err := v.column("select name from pragma_table_info(?)", table)
		if err != nil {
			return err
		}
		for _, c := range columns[table] {
			if !slices.Contains(have, c) {
				return fmt.Errorf("unknown schema: table %s has no column %s, only %s", table, c, strings.Join(have, ", "))
			}
		}
	}
	return nil
}

// column returns the first column of a query's rows.
func (v *view) column(sql, argument string) ([]string, error) {
	stmt, _, err := v.conn.Prepare(sql)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	var values []string
	err = errors.Join(stmt.BindText(1, argument), rows(stmt, func() error {
		values = append(values, stmt.ColumnText(0))
		return nil
	}))
	return values, err
}

// rows runs a statement to its end and resets it.
func rows(stmt *sqlite3.Stmt, row func() error) error {
	defer stmt.Reset()
	for n := 0; stmt.Step(); n++ {
		if n == maxRows {
			return fmt.Errorf("more than %d rows", maxRows)
		}
		if err := row(); err != nil {
			return err
		}
	}
	return stmt.Err()
}

// read returns the rows of a path.
func (v *view) read(path string) (*Item, error) {
	item := &Item{Path: path}
	id, err := v.readItem(item)
	if err != nil {
		return nil, err
	}
	if err := v.readReferences(id, item); err != nil {
		return nil, fmt.Errorf("%s: references: %w", path, err)
	}
	if err := v.readOutputs(id, item); err != nil {
		return nil, fmt.Errorf("%s: outputs: %w", path, err)
	}
	return item, nil
}

// readItem reads the row of ValidPaths, and returns its id. A path is unique there.
func (v *view) readItem(item *Item) (id int64, err error) {
	if err := v.item.BindText(1, item.Path); err != nil {
		return 0, err
	}
	found := false
	err = rows(v.item, func() (err error) {
		found = true
		id = v.item.ColumnInt64(0)
		item.NARSize = v.item.ColumnInt64(2)
		item.Deriver, item.CA = v.item.ColumnText(3), v.item.ColumnText(5)
		if sigs := v.item.ColumnText(4); sigs != "" {
			item.Sigs = strings.Split(sigs, " ")
		}
		item.NARHash, err = parseHash(v.item.ColumnText(1))
		return err
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", item.Path, err)
	case !found:
		return 0, fmt.Errorf("%s: %w", item.Path, ErrNotFound)
	case item.NARSize <= 0:
		return 0, fmt.Errorf("%s: registered with the NAR size %d", item.Path, item.NARSize)
	}
	return id, nil
}

// parseHash reads a hash in the only form that Nix writes.
func parseHash(text string) (hash [32]byte, err error) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != len(hash) {
		return hash, fmt.Errorf(`NAR hash %.80q: not "sha256:" and 64 hexadecimal digits`, text)
	}
	return [32]byte(b), nil
}

func (v *view) readReferences(id int64, item *Item) error {
	if err := v.refs.BindInt64(1, id); err != nil {
		return err
	}
	err := rows(v.refs, func() error {
		if v.refs.ColumnType(0) != sqlite3.TEXT {
			return fmt.Errorf("one of them is not registered")
		}
		item.References = append(item.References, v.refs.ColumnText(0))
		return nil
	})
	slices.Sort(item.References)
	return err
}

func (v *view) readOutputs(id int64, item *Item) error {
	if err := v.outs.BindInt64(1, id); err != nil {
		return err
	}
	err := rows(v.outs, func() error {
		item.Outputs = append(item.Outputs, Output{v.outs.ColumnText(0), v.outs.ColumnText(1)})
		return nil
	})
	slices.SortFunc(item.Outputs, func(a, b Output) int { return cmp.Compare(a.ID, b.ID) })
	return err
}
