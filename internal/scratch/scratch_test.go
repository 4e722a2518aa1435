package scratch

import (
	"os"
	"path/filepath"
	"testing"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// The next process removes the directories of killed ones, but none that is in use or has another owner.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	used, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	killed, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed.Path, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	killed.lock.Close() // as the kernel does
	for _, other := range []string{prefix + "of-mine", "x" + prefix + "1"} {
		if err := os.Mkdir(filepath.Join(dir, other), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, prefix+"2"), nil, 0o600); err != nil { // a file
		t.Fatal(err)
	}
	next, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(killed.Path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", killed.Path, err)
	}
	if list := names(t, dir); len(list) != 5 {
		t.Errorf("there are %v", list)
	}
	for _, d := range []*Directory{used, next} {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	}
	if list := names(t, dir); len(list) != 3 {
		t.Errorf("there are %v", list)
	}
}
