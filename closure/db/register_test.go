package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

func registered(t testing.TB, schema *Schema, path string) map[string]*Item {
	t.Helper()
	s, err := Open(context.Background(), schema, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.Items(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Item{}
	for _, i := range list {
		all[i.Path] = i
	}
	return all
}

func numbered(n int, references ...int) Item {
	i := Item{Path: fmt.Sprintf("/nix/store/%032d-item", n), NARHash: [32]byte{byte(n)}, NARSize: int64(n + 1)}
	for _, r := range references {
		i.References = append(i.References, numbered(r).Path)
	}
	return i
}

// What is registered at once and in steps is the same, for both schemas and in any order; SQLite finds it sound.
func TestRegister(t *testing.T) {
	ctx := context.Background()
	for _, schema := range []*Schema{Nix, Guix} {
		path := filepath.Join(t.TempDir(), "db?#%.sqlite")
		for _, step := range [][]Item{{numbered(2, 1), numbered(1)}, {numbered(1), numbered(2, 1)}, {numbered(4, 3, 4), numbered(3, 2, 1)}} {
			if err := Register(ctx, schema, path, Registration{Items: step, Epoch: 7}); err != nil {
				t.Fatal(err)
			}
		}
		all := registered(t, schema, path)
		if got := all[numbered(4).Path]; len(all) != 4 || len(got.References) != 2 || got.NARSize != 5 {
			t.Fatalf("%d items, %+v", len(all), got)
		}
		out := hosttest.Run(t, "sqlite3", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path),
			"pragma integrity_check; pragma foreign_key_check; pragma journal_mode; select count(*), min(registrationTime), max(registrationTime) from ValidPaths")
		if out != "ok\nwal\n4|7|7\n" {
			t.Errorf("%q", out)
		}
	}
}

// The path may be relative, and lead through a symlink.
func TestRegisterRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Symlink(dir, "link"); err != nil {
		t.Fatal(err)
	}
	for n, path := range []string{"./db", "./db", "link/db"} {
		if err := Register(t.Context(), Nix, path, Registration{Items: []Item{numbered(n)}, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(registered(t, Nix, "db")); n != 3 {
		t.Errorf("%d items", n)
	}
}

// A new database has the statements of the schema, and is made only once, whoever is faster.
func TestRegisterCreates(t *testing.T) {
	dir := t.TempDir()
	errs := make(chan error)
	for n := range 8 {
		go func() {
			errs <- Register(context.Background(), Nix, filepath.Join(dir, "db"), Registration{Items: []Item{numbered(n)}, Epoch: 1})
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if all := registered(t, Nix, filepath.Join(dir, "db")); len(all) != 8 {
		t.Errorf("%d items", len(all))
	}
	if left, _ := filepath.Glob(dir + "/*new*"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	statements := func(file string) string {
		return hosttest.Run(t, "sqlite3", file, "select name, sql from sqlite_master order by name")
	}
	if err := Register(context.Background(), Nix, filepath.Join(dir, "empty"), Registration{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	if err := Register(context.Background(), Nix, filepath.Join(dir, "empty"), Registration{Items: []Item{numbered(1)}, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	image, err := Write(Nix, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "image"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := statements(filepath.Join(dir, "db")), statements(filepath.Join(dir, "image")); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := statements(filepath.Join(dir, "empty")), statements(filepath.Join(dir, "image")); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// A valid item stays as it is, or with Again gets the new values; nothing is registered if one item cannot be.
func TestRegisterAgain(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "db")
	register := func(again bool, items ...Item) error {
		return Register(ctx, Nix, path, Registration{Items: items, Epoch: 1, Again: again})
	}
	if err := register(false, numbered(1), numbered(2)); err != nil {
		t.Fatal(err)
	}
	changed := numbered(2, 1)
	changed.NARSize, changed.Sigs, changed.Outputs = 99, []string{"a:b"}, []Output{{"out", numbered(9).Path}}
	if err := register(false, changed); err != nil {
		t.Fatal(err)
	}
	if got := registered(t, Nix, path)[changed.Path]; got.NARSize != 3 || len(got.References) != 0 {
		t.Errorf("%+v", got)
	}
	for range 2 {
		if err := register(true, changed); err != nil {
			t.Fatal(err)
		}
	}
	if got := registered(t, Nix, path)[changed.Path]; got.NARSize != 99 || len(got.References) != 1 || len(got.Sigs) != 1 || len(got.Outputs) != 1 {
		t.Errorf("%+v", got)
	}
	for _, bad := range [][]Item{{numbered(5), numbered(6, 7)}, {numbered(5), {Path: numbered(6).Path}}, {numbered(5), numbered(5)}} {
		if err := register(false, bad...); err == nil {
			t.Errorf("%v is registered", bad)
		}
	}
	if err := register(false, numbered(6, 7)); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), numbered(7).Path) {
		t.Errorf("%v", err)
	}
	if n := len(registered(t, Nix, path)); n != 2 {
		t.Errorf("%d items", n)
	}
}

// A database with a rollback journal gets a log, and what a killed writer has left of a transaction is undone.
func TestRecover(t *testing.T) {
	hosttest.Need(t, "sqlite3", "sh")
	path := filepath.Join(t.TempDir(), "db")
	image, err := Write(Nix, []Item{numbered(1)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	// A cache of one page has the transaction written to the file before it ends.
	script := "pragma cache_size=1; pragma cache_spill=1; begin; with recursive n(i) as (select 2 union all select i+1 from n where i<5000) " +
		"insert into ValidPaths (path, hash, registrationTime) select '/nix/store/x'||i, 'h', 1 from n; select 'done';\n.shell kill -9 $PPID\n"
	killed := exec.Command("sqlite3", path)
	killed.Stdin = strings.NewReader(script)
	killed.Run()
	if info, err := os.Stat(path + "-journal"); err != nil || info.Size() == 0 {
		t.Fatalf("there is no journal: %v", err)
	}
	if _, err := Open(t.Context(), Nix, path); err == nil {
		t.Fatal("the journal disturbs nobody")
	}
	for range 2 {
		if err := Recover(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(registered(t, Nix, path)); n != 1 {
		t.Errorf("%d items", n)
	}
	if out := hosttest.Run(t, "sqlite3", path, "pragma journal_mode; pragma integrity_check"); out != "wal\nok\n" {
		t.Errorf("%q", out)
	}
	if err := os.WriteFile(path, []byte("no database, but long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Recover(t.Context(), path); err == nil {
		t.Error("no error")
	}
}

// Register waits for another program that writes, and a reader sees all of a registration or nothing.
func TestRegisterWaits(t *testing.T) {
	hosttest.Need(t, "sqlite3")
	path := filepath.Join(t.TempDir(), "db")
	if err := Register(context.Background(), Nix, path, Registration{Items: []Item{numbered(1)}, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sqlite3", path)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	in.Write([]byte("begin immediate; select 'locked';\n"))
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		done <- Register(context.Background(), Nix, path, Registration{Items: []Item{numbered(2)}, Epoch: 1})
	}()
	if n := len(registered(t, Nix, path)); n != 1 {
		t.Errorf("%d items while another program writes", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Register(ctx, Nix, path, Registration{Items: []Item{numbered(3)}, Epoch: 1}); err == nil {
		t.Error("an ended context registers")
	}
	in.Write([]byte("commit;\n"))
	in.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	other.Wait()
	if n := len(registered(t, Nix, path)); n != 2 {
		t.Errorf("%d items", n)
	}
}
