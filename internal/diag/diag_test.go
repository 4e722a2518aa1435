package diag

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestListSortsAndTellsAll(t *testing.T) {
	l := List{
		{Position{"web.toml", 14, 8}, "partition[1].size", "512 MiB is smaller than its content (743 MiB)", "use size = \"auto\"", false},
		{Position{"web.toml", 2, 1}, "nmae", "unknown key", "did you mean \"name\"?", false},
		{Position{"web.toml", 2, 1}, "nmae", "unknown key", "did you mean \"name\"?", false},
		{Position{File: "web.toml"}, "", "is empty", "", false},
	}
	want := `web.toml: is empty
web.toml:2:1: nmae: unknown key
hint: did you mean "name"?
web.toml:14:8: partition[1].size: 512 MiB is smaller than its content (743 MiB)
hint: use size = "auto"`
	if got := l.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := (List{}).Err(); err != nil {
		t.Errorf("an empty list is %v", err)
	}
}

// A list of any length prints at most a page, and the number of problems that it omits.
func TestListIsCut(t *testing.T) {
	l := make(List, 100_000)
	for i := range l {
		l[i] = Problem{Position: Position{"web.toml", i + 1, 1}, Text: "unknown key"}
	}
	got := l.Err().Error()
	if strings.Count(got, "\n") != 50 || !strings.HasSuffix(got, "web.toml:50:1: unknown key\nand 99950 more") {
		t.Errorf("got %d lines, at the end %q", strings.Count(got, "\n")+1, got[max(0, len(got)-100):])
	}
}

// One hint is enough for the same mistake at one key, and not for others.
func TestHintsAreNotRepeated(t *testing.T) {
	at := Position{"web.toml", 3, 1}
	l := List{
		{at, "tree", "/a is there", "override it", false}, {at, "tree", "/b is there", "override it", false},
		{at, "tree", "/c is there", "remove it", false}, {Position{"web.toml", 4, 1}, "file", "/d is there", "remove it", false},
	}
	want := `web.toml:3:1: tree: /a is there
web.toml:3:1: tree: /b is there
hint: override it
web.toml:3:1: tree: /c is there
hint: remove it
web.toml:4:1: file: /d is there
hint: remove it`
	if got := l.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"name", "arch", "format", "partition", "closure", "size"}
	for word, want := range map[string]string{"nmae": "name", "sizee": "size", "Partitions": "partition", "format": "format", "zzz": "", "x": ""} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q; want %q", word, got, want)
		}
	}
}

// A failure of the operating system is not a mistake in the file that names its subject, but the name of a missing file is.
func TestWorld(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{syscall.EIO, true}, {syscall.EMFILE, true}, {syscall.ENOMEM, true}, {syscall.ESTALE, true}, {syscall.EAGAIN, true},
		{syscall.ENOENT, false}, {syscall.EACCES, false}, {syscall.ENOTDIR, false}, {errors.New("is a pipe, not a file"), false},
	} {
		err := fmt.Errorf("read it: %w", &fs.PathError{Op: "read", Path: "x", Err: c.err})
		if got := (Key{}).ProblemOf(err).World; got != c.want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// What no file has caused begins without one.
func TestNoFile(t *testing.T) {
	if got := (Problem{Text: "text", Hint: "hint"}).String(); got != "text\nhint: hint" {
		t.Errorf("%q", got)
	}
	if got := (Problem{Key: "key", Text: "text"}).String(); got != "key: text" {
		t.Errorf("%q", got)
	}
}
