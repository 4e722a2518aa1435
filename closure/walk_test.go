package closure

import (
	"fmt"
	"strings"
	"testing"
)

func TestMentions(t *testing.T) {
	a, b := "/nix/store/"+strings.Repeat("a", 32)+"-a-1.2", "/nix/store/"+strings.Repeat("b", 32)+"-b"
	for text, want := range map[string][]string{
		"":                                    nil,
		a:                                     {a},
		"see " + a + ".":                      {a},
		a + "/bin:" + b + "/bin:" + a + "/x":  {a, b},
		"'" + b + "',\"" + a + "\"\n\x00" + b: {b, a},
		"-L" + a + "é":                        {a},
		"/nix/store/":                         nil,
		"/nix/store/.links/x /nix/store":      nil,
		"/nix/store/" + strings.Repeat("e", 32) + "-no-digits": nil,
		"/nix/store/" + strings.Repeat("a", 32):                nil,
		"/nix/store/" + a:                                      {a},
	} {
		if got := Nix.Mentions(text); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q mentions %v, want %v", text, got, want)
		}
	}
}

// Any text is searched in one pass, and the paths found occur in it.
func FuzzMentions(f *testing.F) {
	f.Add("x /nix/store/" + strings.Repeat("a", 32) + "-a.")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range Nix.Mentions(text) {
			if !strings.Contains(text, p.String()) {
				t.Errorf("%q does not have %s", text, p)
			}
		}
	})
}
