package notes

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestNotes(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "a/b"))
	if _, found := d.Get("x"); found {
		t.Error("found before it was kept")
	}
	for _, text := range []string{"", "one\ntwo", "other"} {
		if err := d.Put("x", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, found := d.Get("x"); !found || string(got) != text {
			t.Errorf("%q, %v", got, found)
		}
	}
	for what, content := range map[string]string{"cut": "d9298a10d1b0735837dc4bd85dac641b", "changed": digest([]byte("other")) + "\nOther", "empty": ""} {
		os.WriteFile(filepath.Join(string(d), "x"), []byte(content), 0o644)
		if _, found := d.Get("x"); found {
			t.Errorf("%s: found", what)
		}
	}
	d.Remove("x")
	if left, _ := os.ReadDir(string(d)); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	for _, name := range []string{"", "..", "../x", "a/b"} {
		if err := d.Put(name, nil); err == nil {
			t.Errorf("%q is kept", name)
		}
		if _, found := d.Get(name); found {
			t.Errorf("%q is found", name)
		}
	}
	if err := Dir("").Put("x", nil); err != nil {
		t.Error(err)
	}
}

// Whoever reads while others write finds one whole text.
func TestConcurrent(t *testing.T) {
	d := Dir(t.TempDir())
	d.Put("x", []byte("0"))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { d.Put("x", fmt.Append(nil, i)) })
		all.Go(func() {
			if _, found := d.Get("x"); !found {
				t.Error("not found")
			}
		})
	}
	all.Wait()
	if left, _ := os.ReadDir(string(d)); len(left) != 1 {
		t.Errorf("%v", left)
	}
}
