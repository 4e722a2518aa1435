package nixtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"imprint/internal/hosttest"
)

// rows are queries for everything that a database says about the items.
var rows = []struct{ what, query string }{
	{"items", `select path, hash, narSize, deriver from ValidPaths`},
	{"references", `select a.path, b.path from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference`},
	{"outputs", `select a.path, o.id, o.path from DerivationOutputs o join ValidPaths a on a.id = drv`},
}

// signed queries for what a registration does not contain.
const signed = `select path, sigs, ca from ValidPaths`

// database checks the database before Nix has opened it.
func (j judge) database() {
	j.Helper()
	db := j.state("db/db.sqlite")
	if schema, err := os.ReadFile(j.state("db/schema")); err != nil || string(schema) != "10" {
		j.Errorf("db/schema is %q, %v", schema, err)
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Stat(db + suffix); err == nil {
			j.Errorf("db.sqlite%s exists", suffix)
		}
	}
	if got := j.sqlite(db, "pragma integrity_check; pragma foreign_key_check"); got != "ok\n" {
		j.Errorf("SQLite reports %s", got)
	}
	j.equal("registered", j.valid(), j.closure)
	j.equal("in the store", j.stored(), j.closure)
	j.schema(db)
	j.sameRows(db)
	odd := fmt.Sprintf("select * from ValidPaths where ultimate is not null or registrationTime <> %d limit 3", j.Epoch)
	if odd := j.sqlite(db, odd); odd != "" {
		j.Errorf("ultimate, or registered at a time other than %d: %s", j.Epoch, odd)
	}
}

// schema compares the schema with that of a new store of Nix's.
func (j judge) schema(db string) {
	j.Helper()
	fresh := newNix(j, tempDir(j))
	fresh.must(j, "nix-store", "--init")
	const statements = "select sql from sqlite_master where sql is not null order by type, name"
	got, want := plainSQL(j.sqlite(db, statements)), plainSQL(j.sqlite(filepath.Join(fresh.root, "nix/var/nix/db/db.sqlite"), statements))
	if got != want {
		j.Errorf("schema:\n%s\nNix makes:\n%s", got, want)
	}
}

var (
	comment     = regexp.MustCompile(`--[^\n]*`)
	space       = regexp.MustCompile(`\s+`)
	punctuation = regexp.MustCompile(` ?([(),;]) ?`)
)

// plainSQL returns SQL without comments, in lower case, and with no more space than it needs.
func plainSQL(sql string) string {
	sql = space.ReplaceAllString(comment.ReplaceAllString(strings.ToLower(sql), ""), " ")
	return punctuation.ReplaceAllString(sql, "$1")
}

// sameRows compares the rows with those of the source that belong to the closure.
func (j judge) sameRows(db string) {
	j.Helper()
	queries := rows
	if !j.Unsigned {
		queries = append(queries[:len(queries):len(queries)], struct{ what, query string }{"signatures", signed})
	}
	source := filepath.Join(j.source.Root, "nix/var/nix/db/db.sqlite")
	in := make(map[string]bool, len(j.closure))
	for _, p := range j.closure {
		in["'"+p+"'"] = true
	}
	for _, q := range queries {
		var want []string
		for _, row := range j.quoted(source, q.query) {
			if path, _, _ := strings.Cut(row, ","); in[path] {
				want = append(want, row)
			}
		}
		j.equal(q.what, j.quoted(db, q.query), want)
	}
}

// sqlite runs a query.
func (j judge) sqlite(db, query string, flags ...string) string {
	j.Helper()
	return hosttest.Run(j, "sqlite3", append(append([]string{"-readonly", "-cmd", ".timeout 20000"}, flags...), db, query)...)
}

// quoted returns rows in SQLite's quoted form, in which NULL differs from an empty text.
func (j judge) quoted(db, query string) []string {
	j.Helper()
	return lines(j.sqlite(db, query+" order by 1, 2", "-quote"))
}
