package tree

import (
	"strconv"
	"strings"
	"unicode"
)

// Shown returns a name or path for messages: as it is, or quoted as in Go if it has characters that a terminal would obey, cannot show, or shows
// as a line break.
func Shown(path string) string {
	strange := func(r rune) bool { return r == unicode.ReplacementChar || !strconv.IsPrint(r) }
	if strings.ContainsFunc(path, strange) {
		return strconv.Quote(path)
	}
	return path
}
