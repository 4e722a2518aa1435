package description

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"imprint/internal/diag"
)

// What is said about a text stays this short: package keyed bounds it.
const (
	mostProblems = 501
	longestText  = 6000
)

// A text of any size and kind takes neither much time nor much memory, and what is said about it stays short and printable.
func TestHostileTexts(t *testing.T) {
	const size = MaxSource / 4
	const head = "name = \"x\"\narch = \"x86_64\"\n"
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "#", string(rune('a'+i%26))+strings.Repeat("z", i%7)+string(rune('a'+i/26%26))+string(rune('a'+i/676%26))+string(rune('a'+i/17576%26))))
		}
		return b.String()
	}
	entry := "[[boot.entry]]\ntitle = \"x\"\nkernel = \"k\"\ncmdline = \""
	for name, src := range map[string]string{
		"one long name":       "name = \"" + strings.Repeat("\\u0001", size/6) + "\"\n",
		"long size":           "[[raw]]\noffset = \"" + strings.Repeat("9", size) + "GB\"\n",
		"partitions":          "partition = [" + strings.Repeat("{},", 200_000) + "]\n",
		"files":               "partition = [{file=[" + strings.Repeat("{},", 200_000) + "]}]\n",
		"entries":             "boot.entry = [" + strings.Repeat("{},", 200_000) + "]\n",
		"open substitutions":  head + entry + strings.Repeat("${", size/2) + "\"\n",
		"substitutions":       head + entry + strings.Repeat("${closure.a}", size/12) + "\"\n",
		"unlike names":        head + numbered(40_000, "[[closure]]\nname = \"#\"\nroots = [\"/x\"]\n") + entry + numbered(100_000, "${closure.#.x}${closure.q#}") + "\"\n",
		"unlike closures":     "closure = [" + numbered(80_000, "{name=\"#\"},") + "]\n[[partition]]\nname = \"a\"\ntype = \"var\"\nfilesystem = \"ext4\"\nclosures = [" + numbered(80_000, "\"q#\",") + "]\n",
		"titles":              "[boot]\ndefault = \"q\"\nloader = \"none\"\nentry = [" + numbered(80_000, "{title=\"#\"},") + "]\n",
		"cycle":               head + numbered(1000, "[[partition]]\nname = \"#\"\nfilesystem = \"erofs\"\npath = \"/x\"\ninside = \"aaaa\"\n"),
		"hint with a newline": "[boot]\nloader = \"none\"\ndefault = \"x\"\n[[boot.entry]]\nkernel = \"k\"\ntitle = \"abc\\nhint: do that\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse("x.toml", []byte(src))
			runtime.ReadMemStats(&after)
			var list diag.List
			if !errors.As(err, &list) || len(list) > mostProblems {
				t.Fatalf("%d problems", len(list))
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 1000 {
				t.Errorf("it took %d MiB", used)
			}
			for _, p := range list {
				if max(len(p.Text), len(p.Key), len(p.Hint)) > longestText {
					t.Errorf("a problem of %d, %d and %d bytes", len(p.Key), len(p.Text), len(p.Hint))
				}
				if strings.ContainsFunc(p.Key+p.Text, func(c rune) bool { return !unicode.IsPrint(c) }) || strings.Contains(p.Hint, "\nhint:") {
					t.Errorf("%q", p)
				}
			}
		})
	}
}

func TestProblemsBeyondTheBoundAreCounted(t *testing.T) {
	_, err := Parse("x.toml", []byte("name = \"x\"\nepoch = ["+strings.Repeat("1,", 10)+"]\n[[partition]]\nname = \"a\"\ntype = \"var\"\nfilesystem = \"ext4\"\ndir = ["+strings.Repeat("{},", 1000)+"]\n"))
	if want := "x.toml: has at least 1001 errors; 500 are reported\nx.toml:2:1: epoch: must be an integer, not an array\n"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %.300v; want %s", err, want)
	}
}
