package fault

import (
	"errors"
	"testing"
)

func TestBelow(t *testing.T) {
	reason := errors.New("wrong")
	for want, names := range map[string][]string{
		`"/": wrong`:               {""},
		`"/etc/motd": wrong`:       {"motd", "etc", ""},
		`"/\x1b[2J/motd": wrong`:   {"motd", "\x1b[2J", ""},
		`"/a\nb: no fault": wrong`: {"a\nb: no fault", ""},
	} {
		err := reason
		for _, name := range names {
			err = Below(name, err)
		}
		if err.Error() != want || !errors.Is(err, reason) {
			t.Errorf("%q gave %v, want %s", names, err, want)
		}
	}
}
