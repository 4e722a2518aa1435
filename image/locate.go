package image

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep tables and arrays nest; the language needs 4. The TOML parser recurses, and its memory grows with the
// square of the depth.
const maxDepth = 32

// A locator walks TOML text and notes where its keys are. It takes any text without complaint: whether it is TOML is the parser's to
// say, and what it notes of other text only serves to point at the mistake.
type locator struct {
	src   string
	pos   int
	table *place // of the last header
	depth int
	deep  *place // where it nests too deep; nothing behind it is read

	line, col int32 // of the byte at marked
	marked    int

	twice *duplicate // the first key that is defined a second time
}

// A duplicate is a key that is defined twice. Its first place is the one in the tree.
type duplicate struct{ first, second *place }

// locate notes the places of all keys in TOML text.
func locate(src string) (*place, *locator) {
	root := &place{}
	l := &locator{src: src, table: root, line: 1, col: 1}
	for l.skip(" \t\r\n"); l.pos < len(l.src) && l.deep == nil; l.skip(" \t\r\n") {
		switch l.src[l.pos] {
		case '#':
			l.comment()
		case '[':
			l.header(root)
			l.restOfLine()
		default:
			l.keyValue(l.table)
			l.restOfLine()
		}
	}
	return root, l
}

// mark gives a place for the byte at pos. Places are asked for in the order of the text, so that all of it is counted once.
func (l *locator) mark() *place {
	for l.marked < l.pos {
		c, n := utf8.DecodeRuneInString(l.src[l.marked:])
		l.marked += n
		l.col++
		if c == '\n' {
			l.line, l.col = l.line+1, 1
		}
	}
	return &place{line: l.line, col: l.col}
}

// skip passes over the given characters.
func (l *locator) skip(chars string) {
	for l.pos < len(l.src) && strings.IndexByte(chars, l.src[l.pos]) >= 0 {
		l.pos++
	}
}

// until passes over everything before the first of the given characters.
func (l *locator) until(chars string) {
	n := strings.IndexAny(l.src[l.pos:], chars)
	if n < 0 {
		n = len(l.src) - l.pos
	}
	l.pos += n
}

func (l *locator) comment()    { l.until("\n") }
func (l *locator) restOfLine() { l.until("\n") }

// space passes over blanks, ends of lines and comments, as they stand between the elements of an array or of an inline table.
func (l *locator) space() {
	for l.skip(" \t\r\n"); l.next() == '#'; l.skip(" \t\r\n") {
		l.comment()
	}
}

// next is the byte at pos, or 0 at the end.
func (l *locator) next() byte {
	if l.pos >= len(l.src) {
		return 0
	}
	return l.src[l.pos]
}

// header reads [table] or [[array]].
func (l *locator) header(root *place) {
	l.pos++
	array := l.next() == '['
	if array {
		l.pos++
	}
	table, key, at := l.dotted(root)
	if array {
		list := table.child(key, at)
		list.items = append(list.items, at)
		l.table = at
		return
	}
	l.table = table.child(key, at)
	if l.table.header {
		l.note(l.table, at)
	}
	l.table.header = true
}

// keyValue reads key = value into a table.
func (l *locator) keyValue(table *place) {
	table, key, at := l.dotted(table)
	l.skip(" \t")
	if l.next() != '=' {
		l.until("\n,}")
		return
	}
	l.pos++
	l.skip(" \t")
	if there := table.keys[key]; there != nil {
		l.note(there, at)
	}
	l.value(table.child(key, at))
}

// dotted reads a key of one or more parts, and gives the table that holds the last part, that part, and where it stands.
func (l *locator) dotted(table *place) (*place, string, *place) {
	for range maxDepth {
		l.skip(" \t")
		at := l.mark()
		key := l.keyPart()
		l.skip(" \t")
		if l.next() != '.' {
			return table, key, at
		}
		l.pos++
		table = table.child(key, at).last()
	}
	l.deep = l.mark()
	return table, "", l.deep
}

func (l *locator) keyPart() string {
	start := l.pos
	if c := l.next(); c == '"' || c == '\'' {
		l.text()
		text := l.src[start:l.pos]
		if unquoted, err := strconv.Unquote(text); err == nil && c == '"' {
			return unquoted
		}
		return strings.Trim(text, string(c))
	}
	for isBare(l.next()) {
		l.pos++
	}
	return l.src[start:l.pos]
}

func (l *locator) note(first, second *place) {
	if l.twice == nil {
		l.twice = &duplicate{first, second}
	}
}
