package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprint/internal/hosttest"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"
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
	s, err := Open(l.t.Context(), Nix, l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { s.Close() })
	return s
}

// openLockless opens the database as on a file system without locks.
func (l *live) openLockless() *Source {
	s := &Source{path: l.path, schema: Nix, lockless: true}
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

// A reader needs only read permission, and leaves no files.
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
	s, err := Open(t.Context(), Nix, dir+"/db.sqlite")
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

// A log that is written back and started over while the source is open, where there are no locks.
func TestSourceNoticesCheckpoints(t *testing.T) {
	l := newLive(t, chain(400))
	s := l.openLockless()
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

// transactions starts a writer that changes all items and the references of one in single transactions, without a pause, and writes the log
// back again and again. It returns how many it has made so far.
func (l *live) transactions() *atomic.Int64 {
	l.t.Helper()
	transaction := func(n int64) error {
		return l.conn.Exec(fmt.Sprintf(`begin; update ValidPaths set narSize = 1000 + %[1]d, ca = %[1]d;
			delete from Refs where referrer = 290; insert into Refs select 290, id from ValidPaths where id <= %[1]d; commit`, n))
	}
	if err := transaction(1); err != nil {
		l.t.Fatal(err)
	}
	stop, made := make(chan struct{}), &atomic.Int64{}
	var done sync.WaitGroup
	done.Go(func() {
		for n := int64(1); ; n++ {
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
				l.t.Error(err)
				return
			}
			made.Store(n)
		}
	})
	l.t.Cleanup(func() { close(stop); done.Wait() })
	return made
}

// checkTransaction checks that what is read of the item that transactions change is of a single one, and returns its number.
func checkTransaction(t testing.TB, s *Source) int {
	t.Helper()
	it := item(t, s, storePath(289))
	n := int(it.NARSize) - 1000
	if len(it.References) != n || it.CA != fmt.Sprint(n) {
		t.Fatalf("size of transaction %d with %d references and CA %s", n, len(it.References), it.CA)
	}
	return n
}

// However busy a store is, each source shows one moment of it, and keeps no writer waiting for longer than it is open.
func TestSourceOfABusyStore(t *testing.T) {
	l := newLive(t, chain(300))
	made := l.transactions()
	sources := 20
	if os.Getenv("IMPRINT_SLOW") == "1" {
		sources = 200
	}
	for i := range sources {
		s, before := l.open(), made.Load()
		n := checkTransaction(t, s)
		for made.Load() < before+10 { // it goes on
			runtime.Gosched()
		}
		if again := checkTransaction(t, s); again != n {
			t.Fatalf("source %d shows transactions %d and %d", i, n, again)
		}
		if got := item(t, s, storePath(3)).NARSize; got != int64(1000+n) {
			t.Fatalf("source %d shows size %d besides transaction %d", i, got, n)
		}
		if s.view.snapshot.by != locked {
			t.Fatal("the locks of a database in use were not taken")
		}
		s.Close()
	}
}

// Without locks, no read sees a part of a transaction.
func TestSourceWithoutLocks(t *testing.T) {
	l := newLive(t, chain(300))
	l.transactions()
	s := l.openLockless()
	for seen := map[int64]bool{}; len(seen) < 3; {
		it, err := s.Item(t.Context(), storePath(289))
		if errors.Is(err, errDisturbed) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[int64(checkTransaction(t, s))] = it.NARSize > 0
	}
}

// Other programs can go on as if nobody read: they write, write the log back, and start it over, though perhaps later.
func TestSourceKeepsNobodyWaiting(t *testing.T) {
	l := newLive(t, chain(50))
	l.exec("pragma busy_timeout=0; update ValidPaths set narSize = 776")
	s := l.open()
	l.exec("update ValidPaths set narSize = 777; pragma wal_checkpoint(passive); update ValidPaths set narSize = 778")
	if got := item(t, s, storePath(7)).NARSize; got != 776 {
		t.Errorf("size %d, it was 776 when the source was opened", got)
	}
	s.Close()
	if busy := l.number("pragma wal_checkpoint(truncate)"); busy != 0 {
		t.Error("a closed source keeps its locks")
	}
	if got := item(t, l.open(), storePath(7)).NARSize; got != 778 {
		t.Errorf("size %d, the writer wrote 778", got)
	}
}

// A program that comes after a source was opened makes an index of the log, which shows that the source has to look again.
func TestSourceNoticesTheFirstWriter(t *testing.T) {
	l := newLive(t, chain(50))
	l.exec("update ValidPaths set narSize = 776")
	l.conn.Close() // which removes log and index
	s := l.open()
	if item(t, s, storePath(7)); s.view.snapshot.by != alone {
		t.Errorf("there is an index of the log, protection %d", s.view.snapshot.by)
	}
	again, err := sqlite3.Open("file:" + l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Exec("update ValidPaths set narSize = 777; pragma wal_checkpoint"); err != nil {
		t.Fatal(err)
	}
	if got := item(t, s, storePath(7)).NARSize; got != 777 {
		t.Errorf("size %d in a database that was changed under an unlocked source", got)
	}
	if s.view.snapshot.by != locked {
		t.Errorf("protection %d of a database in use", s.view.snapshot.by)
	}
}

// A database after a crash is read as SQLite would recover it, and a program that recovers it does not disturb the source.
func TestSourceAfterACrash(t *testing.T) {
	l := newLive(t, chain(50))
	l.exec("update ValidPaths set narSize = 777")
	left := l.path + "-left"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.WriteFile(left+suffix, read(t, l.path+suffix), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), Nix, left)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := sqlite3.Open("file:" + left)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for size := range 5 {
		if err := conn.Exec(fmt.Sprintf("update ValidPaths set narSize = 10 + %d; pragma wal_checkpoint(restart)", size)); err != nil {
			t.Fatal(err)
		}
		if got := item(t, s, storePath(7)).NARSize; got != 777 {
			t.Fatalf("size %d, the log left behind says 777", got)
		}
	}
}

// An index of the log that cannot be opened is done without.
func TestSourceWithoutTheIndex(t *testing.T) {
	l := newLive(t, chain(50))
	l.exec("update ValidPaths set narSize = 777")
	copied := l.path + "-copy"
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(copied+suffix, read(t, l.path+suffix), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(copied+"-shm", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Nix, copied)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := item(t, s, storePath(7)).NARSize; got != 777 || s.view.snapshot.by != unprotected {
		t.Errorf("size %d, protection %d", got, s.view.snapshot.by)
	}
}

// A database without a log, whose writers wait for readers.
func TestSourceWithoutALog(t *testing.T) {
	l := newLive(t, chain(50))
	l.exec("pragma journal_mode=delete; pragma busy_timeout=0")
	s := l.open()
	if err := l.conn.Exec("update ValidPaths set narSize = 777"); !errors.Is(err, sqlite3.BUSY) {
		t.Errorf("a writer was not kept waiting: %v", err)
	}
	s.Close()
	l.exec("update ValidPaths set narSize = 777; begin immediate; update ValidPaths set narSize = 778 where id = 1")
	s = l.open()
	if got := item(t, s, storePath(0)).NARSize; got != 777 {
		t.Errorf("size %d from a transaction that is not committed", got)
	}
	s.Close()
	l.exec("rollback; begin exclusive")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Nix, l.path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a locked database: %v", err)
	}
	defer func(n int) { mostBusy = n }(mostBusy)
	mostBusy = 3
	var wrong *InvalidError
	if _, err := Open(t.Context(), Nix, l.path); !errors.Is(err, errBusy) || errors.As(err, &wrong) {
		t.Errorf("a locked database: %v", err)
	}
}

// Whatever a writer does, the source sees what the writer sees.
func TestSourceSeesWhatSQLiteSees(t *testing.T) {
	hosttest.Check(t, func(rt *rapid.T) {
		l := newLive(t, chain(20))
		defer l.conn.Close()
		s := l.openLockless()
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
		return func(t *testing.T) string { return altered(t, sql) }
	}
	for want, make := range map[string]func(*testing.T) string{
		"no such file":               func(t *testing.T) string { return t.TempDir() + "/absent" },
		"not an SQLite database":     func(t *testing.T) string { return save(t, "db", []byte(strings.Repeat("text ", 100))) },
		"no table ValidPaths":        altered("alter table ValidPaths rename to Paths"),
		"malformed":                  func(t *testing.T) string { return save(t, "db", write(t, nil)[:4096]) },
		"has no column ca":           altered("alter table ValidPaths drop column ca"),
		"no table Refs":              altered("drop table Refs"),
		"no table DerivationOutputs": altered("drop table DerivationOutputs"),
		"a transaction was interrupted": func(t *testing.T) string {
			path := save(t, "db", write(t, nil))
			os.WriteFile(path+"-journal", []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\x00\x00"), 0o644)
			return path
		},
	} {
		s, err := Open(t.Context(), Nix, make(t))
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
	if _, err := Open(t.Context(), Nix, t.TempDir()+"/absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func read(t testing.TB, path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkSource(b *testing.B) {
	items := chain(2000)
	path := save(b, "db.sqlite", write(b, items))
	for b.Loop() {
		s, err := Open(b.Context(), Nix, path)
		if err != nil {
			b.Fatal(err)
		}
		for _, it := range items {
			item(b, s, it.Path)
		}
		s.Close()
	}
}
