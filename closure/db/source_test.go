package db

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"imprint/internal/hosttest"
)

// live is a database in use: opened by a writer, with a write-ahead log that nobody writes back.
type live struct {
	t    testing.TB
	path string
	conn *sqlite3.Conn
}

func newLive(t testing.TB, items []Item) *live {
	t.Helper()
	l := &live{t: t, path: save(t, "db.sqlite", write(t, items))}
	var err error
	if l.conn, err = sqlite3.Open("file:" + l.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.conn.Close() })
	l.exec("pragma synchronous=off; pragma journal_mode=wal; pragma wal_autocheckpoint=0; pragma foreign_keys=on")
	return l
}

func (l *live) exec(sql string, args ...any) {
	l.t.Helper()
	if err := l.conn.Exec(fmt.Sprintf(sql, args...)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *live) open() *Source {
	l.t.Helper()
	s, err := Open(l.t.Context(), l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Close() })
	return s
}

func item(t testing.TB, s *Source, path string) *Item {
	t.Helper()
	it, err := s.Item(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func TestSourceReadsTheLog(t *testing.T) {
	l := newLive(t, chain(50))
	l.exec("update ValidPaths set narSize = 777 where path = '%s'", storePath(7))
	l.exec("begin; update ValidPaths set narSize = 888 where path = '%s'; rollback", storePath(7))
	l.exec("insert into ValidPaths (path, hash, registrationTime, narSize) select '%s', hash, 5, 999 from ValidPaths limit 1", storePath(99))
	s := l.open()
	if got := item(t, s, storePath(7)).NARSize; got != 777 {
		t.Errorf("size %d, the log says 777", got)
	}
	if got := item(t, s, storePath(99)).NARSize; got != 999 {
		t.Errorf("size %d, the log says 999", got)
	}
	l.exec("begin; update ValidPaths set narSize = 5")
	if got := item(t, l.open(), storePath(7)).NARSize; got != 777 {
		t.Errorf("size %d from a transaction that was not committed", got)
	}
}

// A reader needs no more than permission to read, and leaves nothing behind.
func TestSourceLeavesNoTrace(t *testing.T) {
	l := newLive(t, chain(5))
	l.exec("update ValidPaths set narSize = 777")
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(l.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "db.sqlite"+suffix), b, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	s, err := Open(t.Context(), dir+"/db.sqlite")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := item(t, s, storePath(3)).NARSize; got != 777 {
		t.Errorf("size %d, the log says 777", got)
	}
	if names, _ := filepath.Glob(dir + "/*"); len(names) != 2 {
		t.Errorf("left behind: %q", names)
	}
}

// A log that is written back and started over while the source is open.
func TestSourceNoticesCheckpoints(t *testing.T) {
	l := newLive(t, chain(400))
	s := l.open()
	for size := 1000; size < 1010; size++ {
		l.exec("update ValidPaths set narSize = %d", size)
		if size%2 == 0 {
			l.exec("pragma wal_checkpoint(truncate)")
		} else {
			l.exec("pragma wal_checkpoint(restart)")
		}
		for _, n := range []int{0, 200, 399} {
			if got := item(t, s, storePath(n)).NARSize; got != int64(size) {
				t.Fatalf("item %d has size %d after a checkpoint, want %d", n, got, size)
			}
		}
	}
}

// While a writer changes an item and its references in single transactions, and writes the log back again and again, no read sees a
// part of a transaction.
func TestSourceUnderWrites(t *testing.T) {
	l := newLive(t, chain(300))
	transaction := func(n int) error {
		return l.conn.Exec(fmt.Sprintf(`begin; update ValidPaths set narSize = 1000 + %[1]d, ca = %[1]d;
			delete from Refs where referrer = 290; insert into Refs select 290, id from ValidPaths where id <= %[1]d; commit`, n))
	}
	if err := transaction(1); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), sync.WaitGroup{}
	done.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			err := transaction(n%250 + 1)
			if err == nil && n%5 == 0 {
				err = l.conn.Exec("pragma wal_checkpoint(restart)")
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer done.Wait()
	defer close(stop)
	s := l.open()
	seen := map[int64]bool{}
	states := 5
	if os.Getenv("IMPRINT_SLOW") == "1" {
		states = 200
	}
	for len(seen) < states {
		it, err := s.Item(t.Context(), storePath(289))
		if err != nil && strings.Contains(err.Error(), "others wrote to it") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := int(it.NARSize) - 1000; len(it.References) != n || it.CA != fmt.Sprint(n) {
			t.Fatalf("size of transaction %d with %d references and CA %s", n, len(it.References), it.CA)
		}
		seen[it.NARSize] = true
	}
}

// Whatever a writer does, the source sees what the writer sees.
func TestSourceSeesWhatSQLiteSees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newLive(t, chain(20))
		defer l.conn.Close()
		s := l.open()
		defer s.Close()
		size := 1000
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			size++
			change := fmt.Sprintf("update ValidPaths set narSize = %d, sigs = '%s' where id %% %d = 0", size,
				strings.Repeat("s", rapid.IntRange(0, 2000).Draw(rt, "length")), rapid.IntRange(1, 6).Draw(rt, "every"))
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0:
				l.exec("pragma cache_size=1; begin; %s; rollback", change)
			case 1:
				l.exec("pragma wal_checkpoint(passive)")
			case 2:
				l.exec("pragma wal_checkpoint(truncate)")
			case 3:
				l.exec("vacuum")
			default:
				l.exec("%s", change)
			}
			compare(rt, l, s)
		}
	})
}

// compare reads all items. A source may be after, since it shows the last state that it saw undisturbed; a new one may not.
func compare(t *rapid.T, l *live, old *Source) {
	fresh := l.open()
	defer fresh.Close()
	for n := range 20 {
		want := l.number("select narSize from ValidPaths where path = '%s'", storePath(n))
		if got := item(l.t, fresh, storePath(n)).NARSize; got != want {
			t.Fatalf("item %d has size %d, the writer sees %d", n, got, want)
		}
		if got := item(l.t, old, storePath(n)).NARSize; got > want {
			t.Fatalf("item %d has size %d, the writer sees %d", n, got, want)
		}
	}
}

func (l *live) number(sql string, args ...any) int64 {
	l.t.Helper()
	stmt, _, err := l.conn.Prepare(fmt.Sprintf(sql, args...))
	if err != nil {
		l.t.Fatal(err)
	}
	defer stmt.Close()
	stmt.Step()
	return stmt.ColumnInt64(0)
}

func TestOpenRefuses(t *testing.T) {
	altered := func(sql string) func(*testing.T) string {
		return func(t *testing.T) string {
			path := save(t, "db.sqlite", write(t, chain(3)))
			hosttest.Run(t, "sqlite3", path, sql)
			return path
		}
	}
	for want, make := range map[string]func(*testing.T) string{
		"no such file":               func(t *testing.T) string { return t.TempDir() + "/absent" },
		"not an SQLite database":     func(t *testing.T) string { return save(t, "db", []byte(strings.Repeat("text ", 100))) },
		"no table ValidPaths":        altered("alter table ValidPaths rename to Paths"),
		"malformed":                  func(t *testing.T) string { return save(t, "db", write(t, nil)[:4096]) },
		"has no column ca":           altered("alter table ValidPaths drop column ca"),
		"no table Refs":              altered("drop table Refs"),
		"no table DerivationOutputs": altered("drop table DerivationOutputs; create view DerivationOutputs as select 1 as drv, '' as id, '' as path"),
		"transaction was interrupted": func(t *testing.T) string {
			path := save(t, "db", write(t, nil))
			os.WriteFile(path+"-journal", []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\x00\x00"), 0o644)
			return path
		},
	} {
		s, err := Open(t.Context(), make(t))
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestItemRefuses(t *testing.T) {
	l := newLive(t, chain(10))
	l.exec("pragma foreign_keys=off; delete from ValidPaths where id = 1")
	l.exec("update ValidPaths set hash = 'md5:1234' where id = 8; update ValidPaths set narSize = null where id = 9")
	for n, want := range map[int]string{
		0: "not a valid path", 99: "not a valid path", 5: "references: one of them is not registered", 7: `NAR hash "md5:1234"`, 8: "with the NAR size 0",
	} {
		_, err := l.open().Item(t.Context(), storePath(n))
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrNotFound) != (n == 0 || n == 99) {
			t.Errorf("item %d: %v, want %q", n, err, want)
		}
	}
}

func TestOpenMissingIsKnown(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir()+"/absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// Damage anywhere in database or log gives an error or other values: no panic, no endless read, no lasting harm.
func FuzzSource(f *testing.F) {
	l := newLive(f, chain(12))
	l.exec("update ValidPaths set narSize = 777 where id = 3")
	database, log := read(f, l.path), read(f, l.path+"-wal")
	f.Add(uint32(0), []byte{}, uint32(0), []byte{})
	f.Add(uint32(16), []byte{2}, uint32(40), []byte{1})
	f.Add(uint32(5000), []byte("\xff\xff\xff\xff"), uint32(4), []byte("\x00\x2d\xe2\x18"))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, logAt uint32, logPatch []byte) {
		path := save(t, "db.sqlite", patched(database, at, patch))
		if err := os.WriteFile(path+"-wal", patched(log, logAt, logPatch), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path)
		if err != nil {
			return
		}
		defer s.Close()
		for n := range 12 {
			if it, err := s.Item(t.Context(), storePath(n)); err == nil && it.NARSize <= 0 {
				t.Errorf("size %d", it.NARSize)
			}
		}
	})
}

func read(t testing.TB, path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func patched(b []byte, at uint32, patch []byte) []byte {
	b = slices.Clone(b)
	copy(b[int(at)%len(b):], patch)
	return b
}

// The index of any log lies within it.
func FuzzReadWAL(f *testing.F) {
	l := newLive(f, chain(3))
	l.exec("update ValidPaths set narSize = 777 where id = 3")
	f.Add(string(read(f, l.path+"-wal")))
	f.Fuzz(func(t *testing.T, log string) {
		x, err := readWAL(strings.NewReader(log), int64(len(log)))
		if err != nil {
			t.Fatal(err)
		}
		for page, at := range x.content {
			if page == 0 || at+x.pageSize > int64(len(log)) {
				t.Errorf("page %d at %d of %d", page, at, len(log))
			}
		}
	})
}

func BenchmarkSource(b *testing.B) {
	items := chain(2000)
	path := save(b, "db.sqlite", write(b, items))
	for b.Loop() {
		s, err := Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		for _, it := range items {
			item(b, s, it.Path)
		}
		s.Close()
	}
}
