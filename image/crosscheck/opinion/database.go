package opinion

import (
	"os"
	"slices"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs/readervfs"
)

// readDatabase reads the database that the whole file is, as any program with SQLite does.
func readDatabase(f *os.File, _ Request) (*View, error) {
	const name = "image"
	readervfs.Create(name, sized{f})
	defer readervfs.Delete(name)
	conn, err := sqlite3.Open("file:" + name + "?vfs=reader&mode=ro&immutable=1")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	v := &View{Library: "SQLite"}
	at := map[string]int{}
	err = each(conn, "select path, hash, narSize from ValidPaths", func(s *sqlite3.Stmt) {
		at[s.ColumnText(0)] = len(v.Items)
		v.Items = append(v.Items, Item{Path: s.ColumnText(0), Hash: s.ColumnText(1), Size: s.ColumnInt64(2)})
	})
	if err == nil {
		err = each(conn, "select a.path, b.path from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference", func(s *sqlite3.Stmt) {
			item := &v.Items[at[s.ColumnText(0)]]
			item.References = append(item.References, s.ColumnText(1))
		})
	}
	for i := range v.Items {
		slices.Sort(v.Items[i].References)
	}
	return v, err
}

func each(conn *sqlite3.Conn, query string, row func(*sqlite3.Stmt)) error {
	s, _, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	for s.Step() {
		row(s)
	}
	return s.Err()
}

// A sized file knows its size.
type sized struct{ *os.File }

// Size returns the size in bytes, as readervfs requires.
func (f sized) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
