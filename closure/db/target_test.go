package db

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/internal/hosttest"
)

func storePath(n int) string { return fmt.Sprintf("/nix/store/%032d-item-%d", n, n) }

// chain returns items that refer to some of the items before them, and some to themselves.
func chain(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		it := Item{Path: storePath(i), NARHash: sha256.Sum256([]byte{byte(i), byte(i >> 8)}), NARSize: int64(100 + i)}
		for j := max(0, i-9); j < i; j++ {
			it.References = append(it.References, storePath(j))
		}
		switch i % 4 {
		case 0:
			it.References = append(it.References, it.Path)
		case 1:
			it.Deriver, it.Sigs = storePath(i)+".drv", []string{"one:AAAA", "two:BBBB"}
		case 2:
			it.CA = "fixed:r:sha256:0ip26j2h11n1kgkz36rl4akv694yz65hr72q4kv4b3lxcbi65b3p"
		case 3:
			it.Outputs = []Output{{"dev", storePath(i) + "-dev"}, {"out", storePath(i) + "-out"}}
		}
		items[i] = it
	}
	return items
}

func write(t testing.TB, items []Item) []byte {
	t.Helper()
	file, err := Write(Nix, items, 1)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func save(t testing.TB, name string, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Source reads what Write registers.
func TestWriteThenRead(t *testing.T) {
	items := chain(200)
	s, err := Open(t.Context(), Nix, save(t, "db.sqlite", write(t, items)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, want := range items {
		got, err := s.Item(t.Context(), want.Path)
		slices.Sort(want.References)
		if err != nil || !cmp.Equal(*got, want) {
			t.Fatalf("%v\n%s", err, cmp.Diff(*got, want))
		}
	}
	all, err := s.Items(t.Context())
	if err != nil || len(all) != len(items) {
		t.Fatalf("%d items: %v", len(all), err)
	}
	for i, got := range all {
		if !cmp.Equal(*got, items[i]) {
			t.Fatalf("of all: %s", cmp.Diff(*got, items[i]))
		}
	}
}

func TestWriteIsReproducible(t *testing.T) {
	one, two := write(t, chain(300)), write(t, chain(300))
	if !bytes.Equal(one, two) {
		t.Error("two runs differ")
	}
	if bytes.Equal(one, write(t, chain(299))) {
		t.Error("databases of other rows have the same bytes")
	}
}

// The rows as the sqlite3 program sees them, and its judgement of the file.
func TestWriteAsSQLiteSees(t *testing.T) {
	items := chain(4)
	path := save(t, "db.sqlite", write(t, items))
	for query, want := range map[string]string{
		"pragma integrity_check":                "ok",
		"pragma foreign_key_check":              "",
		"pragma journal_mode":                   "delete",
		"pragma page_size":                      "4096",
		"pragma user_version":                   "0",
		"select * from ValidPaths where id = 1": "1|" + storePath(0) + "|sha256:" + fmt.Sprintf("%x", items[0].NARHash) + "|1|NULL|100|NULL|NULL|NULL",
		"select deriver, ultimate, sigs, ca from ValidPaths where id = 2": storePath(1) + ".drv|NULL|one:AAAA two:BBBB|NULL",
		"select deriver, ca from ValidPaths where id = 3":                 "NULL|" + items[2].CA,
		"select * from Refs where referrer < 3":                           "1|1\n2|1",
		"select * from DerivationOutputs":                                 "4|dev|" + storePath(3) + "-dev\n4|out|" + storePath(3) + "-out",
		"select * from sqlite_sequence":                                   "ValidPaths|4",
	} {
		if got := strings.TrimSpace(hosttest.Run(t, "sqlite3", "-nullvalue", "NULL", path, query)); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Guix's database has no signatures and content addresses, and a table of failed builds. Its other rows are those of Nix's.
func TestWriteForGuix(t *testing.T) {
	items := chain(4)
	file, err := Write(Guix, items, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := save(t, "db.sqlite", file)
	for query, want := range map[string]string{
		"pragma integrity_check":                 "ok",
		"pragma foreign_key_check":               "",
		"pragma user_version":                    "0",
		"select * from ValidPaths where id = 2":  "2|" + storePath(1) + "|sha256:" + fmt.Sprintf("%x", items[1].NARHash) + "|1|" + storePath(1) + ".drv|101",
		"select * from Refs where referrer < 3":  "1|1\n2|1",
		"select count(*) from DerivationOutputs": "2",
		"select count(*) from FailedPaths":       "0",
		"select group_concat(name) from (select name from sqlite_schema where name not like 'sqlite_%' order by name)": "DeleteSelfRefs,DerivationOutputs," +
			"FailedPaths,IndexDerivationOutputs,IndexReference,IndexReferrer,Refs,ValidPaths",
		"select group_concat(name || ' ' || type || ' ' || pk) from pragma_table_info('FailedPaths')": "path TEXT 1,time INTEGER 0",
		"select group_concat(name) from pragma_table_info('ValidPaths')":                              "id,path,hash,registrationTime,deriver,narSize",
	} {
		if got := strings.TrimSpace(hosttest.Run(t, "sqlite3", "-nullvalue", "NULL", path, query)); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	s, err := Open(t.Context(), Guix, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, want := range items {
		want.Sigs, want.CA = nil, ""
		got, err := s.Item(t.Context(), want.Path)
		slices.Sort(want.References)
		if err != nil || !cmp.Equal(*got, want) {
			t.Fatalf("%v\n%s", err, cmp.Diff(*got, want))
		}
	}
	if _, err := Open(t.Context(), Nix, path); err == nil || !strings.Contains(err.Error(), `not Nix's schema 10: table ValidPaths has no column sigs`) {
		t.Errorf("read as Nix's: %v", err)
	}
}

// The schema is the one that Nix itself makes.
func TestSchemaAsNix(t *testing.T) {
	hosttest.Need(t, "nix-store", "sqlite3")
	dir := t.TempDir()
	conf := filepath.Join(dir, "nix.conf")
	if err := os.WriteFile(conf, []byte("build-users-group =\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NIX_CONF_DIR", dir)
	t.Setenv("NIX_USER_CONF_FILES", "/dev/null")
	t.Setenv("NIX_REMOTE", "local?root="+dir)
	hosttest.Run(t, "nix-store", "--init")
	ours, nixs := schemaOf(t, save(t, "db.sqlite", write(t, nil))), schemaOf(t, dir+"/nix/var/nix/db/db.sqlite")
	if d := cmp.Diff(nixs, ours); d != "" {
		t.Error(d)
	}
}

var (
	comment = regexp.MustCompile(`--[^\n]*`)
	space   = regexp.MustCompile(`\s+`)
)

// schemaOf returns the statements of a database, without comments and layout.
func schemaOf(t *testing.T, path string) []string {
	out := hosttest.Run(t, "sqlite3", "-newline", ";\n\n", path, "select sql from sqlite_schema where sql is not null order by name")
	var list []string
	for statement := range strings.SplitSeq(out, ";\n\n") {
		plain := space.ReplaceAllString(comment.ReplaceAllString(statement, ""), " ")
		plain = strings.NewReplacer(" (", "(", "( ", "(", " )", ")", " ,", ",").Replace(plain)
		list = append(list, strings.TrimSpace(plain))
	}
	return list
}

func TestWriteRefuses(t *testing.T) {
	hash := sha256.Sum256(nil)
	a := Item{Path: storePath(1), NARHash: hash, NARSize: 1}
	b := Item{Path: storePath(2), NARHash: hash, NARSize: 1, References: []string{a.Path}}
	for _, c := range []struct {
		items []Item
		epoch int64
		want  string
	}{
		{[]Item{b, a}, 1, storePath(2) + ": refers to " + storePath(1) + ", which does not come before it"},
		{[]Item{a, a}, 1, storePath(1) + ": duplicate item"},
		{[]Item{a}, 0, "registration time 0"},
		{[]Item{{Path: a.Path}}, 1, "NAR size 0 must"},
		{[]Item{a, {Path: b.Path, NARSize: 1, References: []string{a.Path, a.Path}}}, 1, "reference to " + a.Path},
		{[]Item{{Path: a.Path, NARSize: 1, Outputs: []Output{{"out", "x"}, {"out", "y"}}}}, 1, "output out"},
	} {
		if _, err := Write(Nix, c.items, c.epoch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	items := chain(5000)
	for b.Loop() {
		write(b, items)
	}
}
