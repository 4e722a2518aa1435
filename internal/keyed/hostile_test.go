package keyed

import (
	"runtime"
	"strings"
	"testing"
	"unicode"

	"imprint/internal/hosttest"
)

// numbered is a text in which # is another word each time.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		word := make([]byte, 4)
		for j := range word {
			word[j], i = 'a'+byte(i%26), i/26
		}
		b.WriteString(strings.ReplaceAll(format, "#", string(word)))
	}
	return b.String()
}

// A text of any size and kind takes neither much time nor much memory, and what is said about it stays short.
func TestHostileTexts(t *testing.T) {
	const size = MaxSource / 4
	for name, src := range map[string]string{
		"unknown keys":       numbered(80_000, "#=1\n"),
		"one long key":       strings.Repeat("k", size) + "=1\n",
		"one long word":      "kind = \"" + strings.Repeat("w", size) + "\"\n",
		"one long text":      "name = \"" + strings.Repeat("\\u0001", size/6) + "\"\n",
		"tables":             "server = [" + strings.Repeat("{},", 200_000) + "]\n",
		"tables in a table":  "server = [{alias=[" + strings.Repeat("{path=1},", 200_000) + "]}]\n",
		"texts":              "tags = [" + strings.Repeat("\"\",", 200_000) + "]\n",
		"array of arrays":    "a = [" + strings.Repeat("[[[[1]]]],", 1<<20) + "]\n",
		"key with an escape": `0."00\`,
		"control characters": "\"\\u0000\\u001b[2J\\u202e\" = 1\nname = \"\\u009b\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := decode(src)
			runtime.ReadMemStats(&after)
			problems := list(t, err)
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 1000 || len(problems) > maxProblems+1 {
				t.Errorf("it took %d MiB, and %d problems", used, len(problems))
			}
			for _, p := range problems {
				if len(p.Text) > 3*maxText || len(p.Key) > 3*maxText || len(p.Hint) > 3*maxText {
					t.Errorf("a problem of %d, %d and %d bytes", len(p.Key), len(p.Text), len(p.Hint))
				}
				if p.Key != printable(p.Key) || p.Text != printable(p.Text) {
					t.Errorf("%q", p)
				}
			}
		})
	}
}

func TestProblemsBeyondTheBoundAreCounted(t *testing.T) {
	_, err := decode("name = [" + strings.Repeat("1,", 10) + "]\n[[server]]\nhost = \"h\"\nalias = [" + strings.Repeat("{path=1},", 1000) + "]\n")
	if want := "x.toml: has at least 1001 errors; 500 are reported\nx.toml:1:1: name: must be text, not an array\n"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %.300v; want %s", err, want)
	}
}

// Of many words, or a long one, the hint is short.
func TestMeantIsBounded(t *testing.T) {
	many := strings.Fields(numbered(10_000, "# "))
	if got := Meant(strings.Repeat("a", maxWord+1), []string{"a\nb", "c"}); got != `known: a\nb, c` {
		t.Errorf("got %q", got)
	}
	if got := Meant("0123456789", many); strings.Count(got, ", ") != maxKnown-1 {
		t.Errorf("got %d words", strings.Count(got, ", ")+1)
	}
}

// Decode takes any text without a panic, and reports every mistake with its position, in words that a terminal shows as they are.
func FuzzDecode(f *testing.F) {
	f.Add("name = \"n\"\n[limits]\nspeed = \"fast\"\n[[server]]\nhost = \"h\"\nrates = [80]\n[[server.alias]]\npath = \"/\"\n")
	f.Add("name = 1\nkind = \"blog\"\nserver = [{}, {rates = [-1, 2, 3]}]\nlimits.x.y = 1979-05-27\n")
	f.Add("nmae = \"\"\nmotto = 1.5\n\"\\u0000\" = [[{}]]\n[[limits]]\n")
	f.Add("a = 1\na = 2\n")
	f.Add(`0."00\`) // of which the TOML library says where the text ends with a NUL in its message
	hosttest.Fuzz(f, func(t *testing.T, src string) {
		s, err := decode(src)
		if err == nil {
			if !s.Name.Written() || s.Name.V == "" || len(s.Server.Items) > 3 {
				t.Errorf("%+v", s)
			}
			return
		}
		lines := strings.Count(src, "\n") + 1
		for _, p := range list(t, err) {
			if p.File != "x.toml" || p.Text == "" || p.Line < 0 || p.Line > lines || (p.Line > 0) != (p.Col > 0) {
				t.Errorf("%#v in %d lines", p, lines)
			}
			if strings.ContainsFunc(p.String(), func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' }) {
				t.Errorf("%q", p)
			}
		}
	})
}
