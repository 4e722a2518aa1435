package main

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// What plan prints fits a terminal of 80 columns, for every description.
func TestPlanFitsTerminal(t *testing.T) {
	s := setting{dir: syntheticConfigs(t), umask: "022"}
	for _, file := range descriptions(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			needsOf(t, file)
			out := string(s.run(t, "plan", "--run-steps", filepath.Join(s.dir, "configs", name)))
			if !strings.Contains(out, "\nlargest in ") {
				t.Error("the plan lacks the largest files")
			}
			for line := range strings.Lines(out) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
					t.Errorf("a line of %d characters: %s", n, line)
				}
			}
		})
	}
}

func TestCutPath(t *testing.T) {
	const long = "/nix/store/i9y9dq9jdyjxpasnigrghfxrvzdki818-linux-6.1.0-56-cloud-amd64"
	for _, test := range []struct {
		l          listing
		path, want string
	}{
		{listing{}, "/etc/hostname", "/etc/hostname"},
		{listing{}, long[:66], long[:66]},
		{listing{}, long, "/nix/store/i9y9dq9jd…" + long[len(long)-45:]},
		{listing{exact: true}, long, long},
	} {
		if got := test.l.path(test.path); got != test.want {
			t.Errorf("%s is cut to %s, want %s", test.path, got, test.want)
		}
	}
}
