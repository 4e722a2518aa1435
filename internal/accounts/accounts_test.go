package accounts

import (
	"errors"
	"strings"
	"testing"

	"imprint/internal/diag"
	"imprint/internal/hosttest"
)

const passwd = `root:x:0:0:root:/root:/bin/bash
# alice:x:7:7::/:
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin

+::::::
-bob::::::
alice:x:1000:100:Alice,,,:/home/alice:/bin/sh
alice:x:1001:100:the second one does not count:/:/bin/sh
short:x:5
word:x:five:5::/:
large:x:4294967295:5::/:
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin`

func TestParse(t *testing.T) {
	got := Parse(passwd)
	want := map[string]uint32{"root": 0, "daemon": 1, "alice": 1000, "nobody": 65534}
	for name, id := range want {
		if n, err := got.ID(name, "user", "/etc/passwd"); err != nil || n != id {
			t.Errorf("%s has number %d, %v; not %d", name, n, err, id)
		}
	}
	if len(got) != len(want) {
		t.Errorf("accounts are %v, not %v", got, want)
	}
	if group := Parse("staff:x:50:\nalice:x:1000:alice,bob\n"); group["staff"] != 50 || group["alice"] != 1000 {
		t.Errorf("groups are %v", group)
	}
}

func TestUnknown(t *testing.T) {
	_, err := Parse(passwd).ID("alcie", "user", "/etc/passwd")
	var m diag.Mistake
	if !errors.As(err, &m) || m.Text != `there is no user "alcie" in /etc/passwd` || m.Hint != `did you mean "alice"?` {
		t.Errorf("an unknown user: %#v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(passwd)
	f.Add(strings.Repeat(":", 100) + "\n" + strings.Repeat("a:b:1:\n", 100))
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		for name, id := range Parse(text) {
			if strings.ContainsAny(name, ":\n") || name == "" || id > MaxID {
				t.Errorf("account %q with number %d", name, id)
			}
			if again := Parse(text)[name]; again != id {
				t.Errorf("%q has number %d, and then %d", name, id, again)
			}
		}
	})
}
