package mke2fs

import (
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// words splits a line as libss does (lib/ss/parse.c): blanks separate words, quotation marks enclose any part of a word, and a doubled one
// stands for itself.
func words(line string) (list []string) {
	inWord, quoted, word := false, false, ""
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted && c == '"' && i+1 < len(line) && line[i+1] == '"':
			word += `"`
			i++
		case c == '"':
			inWord, quoted = true, !quoted
		case !quoted && (c == ' ' || c == '\t'):
			if inWord {
				list = append(list, word)
			}
			inWord, word = false, ""
		default:
			inWord = true
			word += string([]byte{c})
		}
	}
	if inWord {
		list = append(list, word)
	}
	return list
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", `"`, `""`, `a"b`, "a b", "\t", `\`, "<5>", `ends"`, `"starts`, "\xff"} {
		f.Add(s, "second")
	}
	hosttest.Fuzz(f, func(t *testing.T, a, b string) {
		if checkWord("word", a) != nil || checkWord("word", b) != nil {
			t.Skip()
		}
		got := words("symlink " + quote(a) + " " + quote(b))
		if len(got) != 3 || got[1] != a || got[2] != b {
			t.Errorf("%q and %q come out as %q", a, b, got)
		}
	})
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		at         tree.Time
		low, extra string
	}{
		{tree.Time{Sec: 1}, "1", "0"},
		{tree.Time{Sec: -1}, "4294967295", "0"},
		{tree.Time{Sec: -1 << 31, Nsec: 1}, "2147483648", "4"},
		{tree.Time{Sec: 1 << 31}, "2147483648", "1"},
		{tree.Time{Sec: 1<<32 + 5, Nsec: 999_999_999}, "5", "3999999997"},
	} {
		var s script
		s.time(12, "/", "mtime", c.at)
		want := "sif <12> mtime_lo " + c.low + "\nsif <12> mtime_extra " + c.extra + "\n"
		if got := string(s.input()); got != want {
			t.Errorf("%v: got %q, want %q", c.at, got, want)
		}
	}
}

func TestCheckReadsTheTranscript(t *testing.T) {
	s := &script{}
	s.in(12, "/d")
	s.addAllocating(13, "/d/f", "write", `"/src"`, `"f"`)
	s.add("/d/l", "symlink", `"l"`, `"t"`)
	fine := "debugfs 1.47.0 (5-Feb-2023)\ndebugfs: cd <12>\ndebugfs: write \"/src\" \"f\"\nAllocated inode: 13\ndebugfs: symlink \"l\" \"t\"\n"
	for _, c := range []struct{ name, old, new, want string }{
		{"as it should be", "", "", ""},
		{"without inode numbers", "Allocated inode: 13\n", "", ""},
		{"another inode", "inode: 13", "inode: 14", `/d/f: write "/src" "f": Allocated inode: 14`},
		{"an inode out of turn", "debugfs: write", "Allocated inode: 13\ndebugfs: write", "/d: cd <12>: Allocated inode: 13"},
		{"a complaint", "Allocated", "write: No space\nAllocated", `/d/f: write "/src" "f": write: No space`},
		{"a complaint at the end", "\"t\"\n", "\"t\"\nsymlink: it is there\n", "/d/l: symlink \"l\" \"t\": symlink: it is there"},
		{"cut off", "debugfs: symlink \"l\" \"t\"\n", "", "after 2 of 3 commands, before /d/l: symlink \"l\""},
		{"another command", "symlink \"l\"", "symlink \"k\"", `debugfs: symlink "k"`},
		{"nothing", fine, "", "after 0 of 3 commands, before /d: cd <12>"},
	} {
		err := s.check([]byte(strings.Replace(fine, c.old, c.new, 1)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
