// Package visible escapes characters that a terminal interprets or does not show. It is the last line of defence between a terminal and file
// names, which in a store or an archive may contain any bytes.
package visible

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// To returns a writer that escapes control characters, except newlines and tabs.
func To(w io.Writer) io.Writer { return writer{w} }

type writer struct{ io.Writer }

// Write implements io.Writer. A character must not be split between calls.
func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, Escape(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Escape escapes characters that a terminal would not show. Those above ASCII get the form of JSON, \uXXXX.
func Escape(text string) string {
	if strings.IndexFunc(text, isHidden) < 0 {
		return text
	}
	var out strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size > 1:
			out.WriteRune(r)
		case r == utf8.RuneError, r < 0x80 && isHidden(r):
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case isHidden(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// isHidden reports control characters of ASCII and Latin-1, invalid UTF-8, and characters that change the direction of writing
// or end a line.
func isHidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, 0x7f <= r && r < 0xa0, r == utf8.RuneError: // also U+FFFD itself
		return true
	}
	return 0x200e <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0xfeff
}

// Line escapes the newlines and tabs of a name or message.
func Line(text string) string { return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text) }
