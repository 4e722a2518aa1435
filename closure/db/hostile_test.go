package db

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// altered is the path of a database of a few items, changed by SQL that may write to the schema.
func altered(t testing.TB, sql string) string {
	t.Helper()
	path := save(t, "db.sqlite", write(t, chain(3)))
	conn, err := sqlite3.Open("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec("pragma foreign_keys=off; pragma writable_schema=on; " + sql); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads all items, and fails the test unless an error is one line that a terminal can show.
func readAll(t testing.TB, path string) error {
	t.Helper()
	s, err := Open(t.Context(), Nix, path)
	if err == nil {
		defer s.Close()
		for n := 0; n < 3 && err == nil; n++ {
			_, err = s.Item(t.Context(), storePath(n))
		}
		_, all := s.Items(t.Context())
		if all != nil && all.Error() != printable(all.Error()) {
			t.Errorf("an error that changes the terminal: %q", all)
		}
	}
	if err != nil && err.Error() != printable(err.Error()) {
		t.Errorf("an error that changes the terminal: %q", err)
	}
	return err
}

const endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select x as referrer, x as reference from n where x < 0"

// A schema by which reading a table would run code is refused by name before it is read; a query without end is given up.
func TestHostileDatabases(t *testing.T) {
	// A row of the schema can say something else than its statement.
	lie := func(statement string) string {
		return "delete from sqlite_schema where tbl_name = 'Refs' and type = 'index'; update sqlite_schema set sql = '" + statement +
			"', rootpage = iif('" + statement + "' like '%TABLE%', rootpage, 0) where name = 'Refs'"
	}
	for name, c := range map[string]struct{ sql, want string }{
		"a view":           {"drop table Refs; create view Refs as " + endless, `this one has "CREATE VIEW Refs as `},
		"a hidden view":    {lie("CREATE VIEW Refs as " + endless), "schema (Refs)"},
		"a view elsewhere": {"create view x as " + endless, `this one has "CREATE VIEW x as `},
		"a virtual table":  {lie("CREATE VIRTUAL TABLE Refs using json_each(referrer, reference)"), `this one has "CREATE VIRTUAL TABLE Refs using`},
		"a comment":        {lie("CREATE/**/VIEW Refs as " + endless), "schema (Refs)"},
		"a generated column": {"alter table Refs rename to R; create table Refs (referrer, reference as (hex(zeroblob(10000))))",
			`column "reference" of table Refs is generated`},
		"a stored one": {"alter table Refs rename to R; create table Refs (referrer, reference as (referrer) stored)", `column "reference" of table Refs is`},
		"shadows": {"create table pragma_table_xinfo (name); create table pragma_table_list (name); alter table Refs rename to R",
			"no table Refs"},
		"escapes":       {"alter table Refs rename column reference to [\x1b[2J\n]", `only ["referrer" "\x1b[2J\n"]`},
		"bad statement": {lie("CREATE TABLE Refs(\x1b[2J"), `malformed database schema (Refs)`},
		"many tables": {"with recursive n(x) as (select 1 union all select x + 1 from n limit 1100) " +
			"insert into sqlite_schema select 'table', 't' || x, 't' || x, 2, 'CREATE TABLE t' || x || '(a)' from n", "more than 1024 tables"},
		"no index": {"drop table Refs; create table Refs (referrer, reference); with recursive n(x) as (select 9 union all select x + 1 from n " +
			"limit 900000) insert into Refs select x, x from n", "an index is missing"},
		"many references": {"drop table Refs; create table Refs (referrer, reference); with recursive n(x) as (select 1 union all select x + 1 from n " +
			"limit 270000) insert into Refs select 1, 1 from n", "references: more than 262144 rows"},
		"large signatures": {"update ValidPaths set sigs = hex(zeroblob(8193))", storePath(0) + ": sigs has 16386 bytes, more than 16384"},
		"huge signatures":  {"update ValidPaths set sigs = hex(zeroblob(450000))", storePath(0) + ": a value has more than 65536 bytes"},
		"large deriver":    {"update ValidPaths set deriver = hex(zeroblob(300))", storePath(0) + ": deriver has 600 bytes, more than 512"},
		"size as text":     {"update ValidPaths set narSize = 'x\x1b'", "registered with the NAR size 0"},
		"enormous size":    {"update ValidPaths set narSize = 1 << 43", "registered with the NAR size 8796093022208"},
		"no hash":          {"update ValidPaths set hash = 'x' || char(27)", `NAR hash "x\x1b"`},
		"another path": {"drop table ValidPaths; create table ValidPaths (id, path text collate nocase unique, hash, narSize, deriver, sigs, ca); " +
			"insert into ValidPaths values (1, upper('" + storePath(0) + "'), '', 1, '', '', '')", `its index leads to the row of "/NIX/STORE/`},
		"another name": {"drop table Refs; create table R (referrer, reference); create view Refs as " + endless +
			"; update sqlite_schema set name = 'Refs' where name = 'R'", "schema (Refs)"},
		"outputs twice": {"drop table DerivationOutputs; create table DerivationOutputs (drv, id, path); insert into DerivationOutputs " +
			"values (1, 'o' || char(10), 'x'), (1, 'o' || char(10), 'y')", `output "o\n" is registered twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := readAll(t, altered(t, c.sql))
			var wrong *InvalidError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Items hold no more memory together than one database may cost.
func TestTextIsBounded(t *testing.T) {
	r := &reader{texts: map[string]string{}, bytes: maxText - 20}
	row := pathRow{path: []byte("p"), hash: []byte("sha256:" + strings.Repeat("0a", 32)), size: 1, deriver: []byte("123456789012")}
	if _, err := r.item(row, "p"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.item(row, "p"); err == nil || !strings.Contains(err.Error(), "more than 256 MiB of text") {
		t.Errorf("got %v", err)
	}
}

// Damage anywhere in database or log gives one error, or other values: no panic, no endless read. What is read in vain is bounded by
// [budget], so that each takes a fraction of a second.
func TestDamagedDatabases(t *testing.T) {
	l := newLive(t, chain(60))
	l.exec("update ValidPaths set narSize = 777 where id = 3")
	database, log := read(t, l.path), read(t, l.path+"-wal")
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 900 {
		b, w := append([]byte(nil), database...), append([]byte(nil), log...)
		for range 1 + random.IntN(20) {
			// Most of what decides lies at the start of a page: its kind, its cells and where they are.
			page := random.IntN(len(b) / 4096)
			b[page*4096+random.IntN(1<<random.IntN(13))] = byte(random.IntN(256))
			if n%3 == 0 {
				w[random.IntN(len(w))] ^= 1
			}
		}
		switch n % 10 {
		case 0: // a tree that leads back to where it comes from
			from, to := random.IntN(len(b)/4096), random.IntN(len(b)/4096)
			copy(b[from*4096:(from+1)*4096], b[to*4096:])
		case 1:
			b = b[:random.IntN(len(b))]
		}
		path := save(t, fmt.Sprintf("%d", n), b)
		if n%2 == 0 {
			if err := os.WriteFile(path+"-wal", w, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		readAll(t, path)
	}
}
