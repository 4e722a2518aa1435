package closures

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"imprint/closure"
	"imprint/image/description"
	"imprint/internal/diag"
)

// A source that names the wrong thing is a problem of the description; a machine that cannot read it is not.
func TestRefuse(t *testing.T) {
	key := diag.Key{Path: "source[0].path", Position: diag.Position{File: "x.toml", Line: 3, Col: 1}}
	at := func(errno error) error { return &fs.PathError{Op: "open", Path: "/mnt/db.sqlite", Err: errno} }
	for _, c := range []struct {
		err   error
		users bool
	}{
		{at(syscall.ENOENT), true},
		{at(syscall.ENOTDIR), true},
		{at(syscall.EACCES), true},
		{at(syscall.EISDIR), true},
		{at(syscall.ELOOP), true},
		{at(syscall.ENAMETOOLONG), true},
		{&closure.InvalidError{}, true},
		{fmt.Errorf("x: %w", diag.List{{Text: "registered twice"}}), true},
		{at(syscall.EMFILE), false},
		{at(syscall.ENFILE), false},
		{at(syscall.EIO), false},
		{at(syscall.ENOMEM), false},
		{at(syscall.ESTALE), false},
		{errors.New("another program has locked it"), false},
	} {
		s := &sources{}
		err := s.refuse(key, c.err)
		if (err == nil) != c.users || len(s.problems) != 0 != c.users {
			t.Errorf("%v: %v, %v", c.err, err, s.problems)
		}
		s = &sources{finder: finder{d: &description.Image{}}}
		if err := s.blame(c.err, nil); err == nil && !c.users {
			t.Errorf("%v of a closure: %v", c.err, s.problems)
		}
	}
}

// An item that cannot be read because of the machine is no fault of the store.
func TestUnreadableItem(t *testing.T) {
	p, err := closure.Nix.ParsePath("/nix/store/00000000000000000000000000000000-x")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{syscall.EMFILE, syscall.EIO, os.ErrPermission, &closure.GoneError{Path: p}} {
		if (&unreadable{}).add(p, err) == nil {
			t.Errorf("%v became a problem", err)
		}
	}
	u := &unreadable{}
	if err := errors.Join(u.add(p, &closure.InvalidError{}), u.add(p, syscall.ENOENT)); err != nil {
		t.Error(err)
	}
	if list := u.problems(diag.Key{}, closure.Nix, nil); len(list) != 1 || !strings.Contains(list[0].Text, "-x is registered, but: no such file") {
		t.Errorf("got %v", list)
	}
}

// Who has written no source gets to know that there may be one.
func TestRefuseWithoutSource(t *testing.T) {
	for line, want := range map[int]string{0: "there is no [[source]]", 3: "a source needs the store's database"} {
		s := &sources{}
		s.refuse(diag.Key{Path: "source[0].path", Position: diag.Position{File: "x.toml", Line: line}}, fs.ErrNotExist)
		if len(s.problems) != 1 || !strings.HasPrefix(s.problems[0].Hint, want) {
			t.Errorf("line %d: %+v", line, s.problems)
		}
	}
}
