package partitiontest

import (
	"fmt"
	"strings"
	"testing"
)

// oddNames are allowed in every Linux directory.
var oddNames = []string{
	" ", " leading", "trailing ", "two  spaces", "tab\tin", `"`, `""`, `"quoted"`, `quo"te`, "'", "it's", `back\slash`, `\x41`, `\n`, "trailing.", "...",
	"-f", "--", "#comment", "<2>", "<5>", ">", "|", "|x", "!", ";", "*", "?", "[a]", "{}", "$HOME", "`id`", "%s%n", "~", "&", "(x)", ":", "a:b", "@",
	"=", "+", ",", "CON", "nul", "AUX.txt", "umläüt", "日本語", "Ελληνικά", "é", "e\u0301", "\xff\xfe", "a\x80b", "\x01", "\x7f", "new\nline", "re\rturn",
	"\n", strings.Repeat("\xff", 255), strings.Repeat("日", 85), "lost+found2", "socket", "checksum",
}

// testNames makes the names that the engine takes, for files and for directories, and checks that it refuses the others.
func testNames(t *testing.T, e Engine) {
	takes := e.Names
	if takes == nil {
		takes = func(string) bool { return true }
	}
	all := newGrove(t)
	for i, name := range oddNames {
		if takes(name) {
			all.file("/files/"+name, fmt.Sprint(i))
			all.dir("/dirs/" + name)
			all.file("/dirs/"+name+"/in", fmt.Sprint(i))
			continue
		}
		g := newGrove(t)
		g.file("/some/"+name, "")
		e.expectRefusal(t, g.tree(), "/some/"+name)
	}
	e.roundTrip(t, all.tree(), defaults)
}
