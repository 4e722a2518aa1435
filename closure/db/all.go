package db

import (
	"context"

	"github.com/ncruces/go-sqlite3"
)

// Limits of a whole database.
const (
	maxAllItems = 1 << 20
	maxAllRefs  = 1 << 24
)

// Items returns the rows of every valid path, in the order in which they were registered. It takes a tenth of the time of asking for each.
func (s *Source) Items(ctx context.Context) (items []*Item, err error) {
	err = s.read(ctx, func(v *view) (err error) {
		items, err = v.all()
		return err
	})
	return items, err
}

func (v *view) all() ([]*Item, error) {
	var items []*Item
	byID := map[int64]*Item{}
	err := v.each(v.schema.selectItem()+" order by id", maxAllItems, func(s *sqlite3.Stmt) error {
		row := pathRowOf(s)
		path, err := v.reader.shared(row.path, "path")
		if err != nil {
			return err
		}
		item, err := v.reader.item(row, path)
		if err != nil {
			return within(path, err)
		}
		items, byID[s.ColumnInt64(0)] = append(items, item), item
		return nil
	})
	if err == nil {
		err = v.allReferences(byID)
	}
	if err == nil {
		err = v.allOutputs(byID)
	}
	for i := 0; i < len(items) && err == nil; i++ {
		if err = items[i].finish(); err != nil {
			err = within(items[i].Path, err)
		}
	}
	return items, err
}

// allReferences adds to the items what they refer to. Rows of an item that is not registered mean nothing.
func (v *view) allReferences(byID map[int64]*Item) error {
	return v.each("select referrer, reference from Refs", maxAllRefs, func(s *sqlite3.Stmt) error {
		from := byID[s.ColumnInt64(0)]
		if from == nil {
			return nil
		}
		to := byID[s.ColumnInt64(1)]
		if to == nil {
			return within(from.Path+": references", invalid("one of them is not registered"))
		}
		from.References = append(from.References, to.Path)
		return v.reader.keep(16)
	})
}

func (v *view) allOutputs(byID map[int64]*Item) error {
	return v.each("select drv, id, path from DerivationOutputs", maxAllRefs, func(s *sqlite3.Stmt) error {
		item := byID[s.ColumnInt64(0)]
		if item == nil {
			return nil
		}
		if err := v.reader.output(item, s.ColumnRawText(1), s.ColumnRawText(2)); err != nil {
			return within(item.Path+": outputs", err)
		}
		return nil
	})
}

// each calls row for the rows of a query.
func (v *view) each(query string, most int, row func(*sqlite3.Stmt) error) error {
	stmt, _, err := v.conn.Prepare(query)
	if err != nil {
		return v.cause(err)
	}
	defer stmt.Close()
	return v.rowsUpTo(most, stmt, func() error { return row(stmt) })
}
