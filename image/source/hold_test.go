package source

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"imprint/closure"
	"imprint/closure/closuretest"
	"imprint/closure/locks"
	"imprint/internal/hosttest"
)

// Items of a store in use are temporary roots until release; one that has vanished before is an error; a store that nobody uses is left alone.
func TestHold(t *testing.T) {
	dir := t.TempDir()
	state := dir + closure.Nix.StateDir
	var items []closuretest.Item
	for _, name := range []string{"00000000000000000000000000000000-a", "00000000000000000000000000000001-b"} {
		p, err := closure.Nix.ParsePath(closure.Nix.StoreDir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, closuretest.Item{Info: &closure.Info{Path: p, NARSize: 1}})
	}
	if err := os.MkdirAll(state+"/db", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := closure.Nix.Register(t.Context(), dir, []*closure.Info{items[0].Info, items[1].Info}, 1, false); err != nil {
		t.Fatal(err)
	}
	s, err := closure.OpenLocal(t.Context(), dir, closure.Nix, readItem)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := &closure.Closure{Items: []closure.Item{{Info: items[0].Info, Store: s}, {Info: items[1].Info, Store: s}}}
	release, err := Hold(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if list, _ := filepath.Glob(state + "/*"); len(list) != 1 {
		t.Errorf("%q", list)
	}
	if err := os.Mkdir(state+"/temproots", 0o755); err != nil {
		t.Fatal(err)
	}
	held := func() (n int) {
		all, err := locks.Held(state)
		if err != nil {
			t.Error(err)
		}
		for _, paths := range all {
			n += len(paths)
		}
		return n
	}
	if release, err = Hold(t.Context(), c); err != nil || held() != 2 {
		t.Fatalf("%v, %d held", err, held())
	}
	if release(); held() != 0 {
		t.Errorf("%d held", held())
	}
	hosttest.Run(t, "sqlite3", dir+closure.Nix.Database(), "delete from ValidPaths where path like '%-b'")
	var gone *closure.GoneError
	if _, err := Hold(t.Context(), c); !errors.As(err, &gone) || gone.Path != items[1].Info.Path || held() != 0 {
		t.Errorf("%v, %d held", err, held())
	}
}
