package visible

import (
	"testing"
)

func TestEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\n":     "plain\ttext\n",
		"größer als 中文 🙂 �": "größer als 中文 🙂 �",
		"\x1b[31m":          `\x1b[31m`,
		"a\x00b\rc\x7f":     `a\x00b\x0dc\x7f`,
		"\u009b2J":          `\u009b2J`,
		"\xff\x9b":          `\xff\x9b`,
		"\u202etxt.exe":     `\u202etxt.exe`,
		"a\u2028b":          `a\u2028b`,
	} {
		if got := Escape(text); got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
}
