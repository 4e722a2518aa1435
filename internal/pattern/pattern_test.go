package pattern

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string // a path that ends in a slash is a directory
	}{
		{"*.pyc", []string{"/a.pyc", "/x/y/.pyc", "/d.pyc/"}, []string{"/a.pyc2", "/a.pyc/b"}},
		{"/etc/motd", []string{"/etc/motd"}, []string{"/x/etc/motd", "/etc/motd2", "/etc"}},
		{"etc/motd", []string{"/etc/motd"}, []string{"/x/etc/motd"}},
		{"/proc", []string{"/proc/", "/proc"}, []string{"/x/proc", "/proc/self"}},
		{".git/", []string{"/.git/", "/x/.git/"}, []string{"/.git", "/.github/"}},
		{"/a/*", []string{"/a/b", "/a/.b"}, []string{"/a", "/a/b/c"}},
		{"/a/**", []string{"/a/b", "/a/b/c"}, []string{"/a", "/b/a/c"}},
		{"a/**/b", []string{"/a/b", "/a/x/b", "/a/x/y/b"}, []string{"/a/b/c", "/x/a/b", "/b"}},
		{"**/a/b", []string{"/a/b", "/x/y/a/b"}, []string{"/a/x/b"}},
		{"**", []string{"/a", "/a/b"}, []string{"/"}},
		{"/x?[a-c][!a-c]", []string{"/xyad", "/xäbz"}, []string{"/xyaa", "/xaz", "/xydd"}},
		{`\!\*`, []string{"/!*", "/a/!*"}, []string{"/!x", `/\!\*`}},
		{"[]]", nil, nil},
		{"a*b*c", []string{"/abc", "/aXbYc"}, []string{"/ab/c"}},
	} {
		s, err := Parse([]string{c.pattern})
		if err != nil {
			if len(c.yes)+len(c.no) > 0 {
				t.Errorf("%s: %v", c.pattern, err)
			}
			continue
		}
		for i, paths := range [][]string{c.no, c.yes} {
			for _, p := range paths {
				name, dir := strings.CutSuffix(p, "/")
				if got := s.Match("/"+strings.TrimPrefix(name, "/"), dir); got != (i == 1) {
					t.Errorf("%s matches %s: %v", c.pattern, p, got)
				}
			}
		}
	}
}

func TestCovers(t *testing.T) {
	s, err := Parse([]string{"/a/b/", "*.o"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"/a": false, "/a/b": false, "/a/b/c": true, "/a/b/c/d": true, "/x.o/y": true, "/": false} {
		if got := s.Covers(name, false); got != want {
			t.Errorf("covers %s: %v", name, got)
		}
	}
	if !s.Covers("/a/b", true) || (Set{}).Covers("/a", true) {
		t.Error("a directory is not covered, or no pattern covers something")
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "matches no path", "/": "matches no path", "//": "matches no path", "!a": "not supported", "a//b": "empty part", "./a": ". or ..", "/../a": ". or ..",
		"[a": "without ]", `a\`: `\ at the end`, "[a/b]": "without ]", strings.Repeat("a", maxLength+1): "4097 bytes",
	} {
		if _, err := Parse([]string{"fine", text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v; want %q", text, err, want)
		}
	}
}

// Git matches the same paths with patterns of simple names.
func TestAsGitDoes(t *testing.T) {
	hosttest.Need(t, "git")
	dir := t.TempDir()
	hosttest.Run(t, "git", "init", "-q", dir)
	name := rapid.StringMatching(`[ab*?]{1,3}|\*\*|\[ab\]|\[!a\]`)
	hosttest.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(name, 1, 4).Draw(rt, "pattern"), "/")
		if rapid.Bool().Draw(rt, "anchored") {
			text = "/" + text
		}
		for strings.Contains(strings.ReplaceAll("/"+text+"/", "/**/", "//"), "**") {
			text = strings.ReplaceAll(text, "**", "*") // of which Git makes more where no slash is beside it
		}
		s, err := Parse([]string{text})
		if err != nil {
			rt.Fatalf("%q: %v", text, err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".git/info/exclude"), []byte(text+"\n"), 0o644); err != nil {
			rt.Fatal(err)
		}
		var paths []string
		for range 20 {
			paths = append(paths, strings.Join(rapid.SliceOfN(rapid.StringMatching(`[ab]{1,2}`), 1, 4).Draw(rt, "path"), "/"))
		}
		ignored := map[string]bool{}
		cmd := exec.Command("git", append([]string{"-C", dir, "check-ignore", "--no-index", "--"}, paths...)...)
		out, _ := cmd.Output() // the exit code says whether there is any
		for _, p := range strings.Fields(string(out)) {
			ignored[p] = true
		}
		for _, p := range paths {
			if got := s.Covers("/"+p, false); got != ignored[p] {
				rt.Errorf("%q covers %s: %v, with Git %v", text, p, got, ignored[p])
			}
		}
	})
}

// Matching any pattern takes little time, and covers everything below a match.
func FuzzMatch(f *testing.F) {
	f.Add("/a/**/b", "/a/x/b", false)
	f.Add("[!a-c]?*.py[co]", "/dx.pyc", true)
	f.Add(strings.Repeat("**/", 40)+"x", strings.Repeat("/a", 60), false)
	f.Add(strings.Repeat("*a", 50), "/"+strings.Repeat("a", 200), false)
	f.Fuzz(func(t *testing.T, text, name string, dir bool) {
		s, err := Parse([]string{text})
		if err != nil {
			return
		}
		name = "/" + strings.TrimPrefix(name, "/")
		if s.Match(name, dir) && !s.Covers(name, dir) {
			t.Errorf("%q matches %q and does not cover it", text, name)
		}
		if s.Match(name, true) && !s.Covers(name+"/x", false) {
			t.Errorf("%q covers %q, and not what is below it", text, name)
		}
	})
}
