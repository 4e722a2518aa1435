package tomlpos

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A locator scans TOML text and records the positions of its keys. It does not validate: that is up to the decoder.
type locator struct {
	src   string
	pos   int
	table *Node // of the last header
	depth int
	nodes int
	limit *LimitError // set when a bound is exceeded, which ends the scan

	line, col int32 // of the byte at marked
	marked    int

	twice *Duplicate
}

// Locate returns the positions of all keys and array elements of a text. The error is a *LimitError; the document then has
// what precedes the limit.
func Locate(src string) (Document, error) {
	root := &Node{}
	l := &locator{src: src, table: root, line: 1, col: 1}
	for l.skip(" \t\r\n"); l.pos < len(l.src) && l.limit == nil; l.skip(" \t\r\n") {
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
	doc := Document{Root: root, Twice: l.twice}
	if l.limit != nil {
		return doc, l.limit
	}
	return doc, nil
}

// mark returns a node for the byte at pos. Nodes are marked in the order of the text, so lines and columns are counted once,
// in linear time.
func (l *locator) mark() *Node {
	for l.marked < l.pos {
		c, n := utf8.DecodeRuneInString(l.src[l.marked:])
		l.marked += n
		l.col++
		if c == '\n' {
			l.line, l.col = l.line+1, 1
		}
	}
	return &Node{line: l.line, col: l.col}
}

// exceed ends the scan with a LimitError at pos.
func (l *locator) exceed(text string) {
	if l.limit == nil {
		line, col := l.mark().Pos()
		l.limit = &LimitError{line, col, text}
	}
}

func (l *locator) tooDeep() { l.exceed(fmt.Sprintf("nests deeper than %d levels", MaxDepth)) }

// skip skips the given characters.
func (l *locator) skip(chars string) {
	for l.pos < len(l.src) && strings.IndexByte(chars, l.src[l.pos]) >= 0 {
		l.pos++
	}
}

// until skips to the first of the given characters.
func (l *locator) until(chars string) {
	n := strings.IndexAny(l.src[l.pos:], chars)
	if n < 0 {
		n = len(l.src) - l.pos
	}
	l.pos += n
}

func (l *locator) comment()    { l.until("\n") }
func (l *locator) restOfLine() { l.until("\n") }

// space skips blanks, newlines and comments, as they may appear between the elements of an array or of an inline table.
func (l *locator) space() {
	for l.skip(" \t\r\n"); l.next() == '#'; l.skip(" \t\r\n") {
		l.comment()
	}
}

// next returns the byte at pos, 0 at the end.
func (l *locator) next() byte {
	if l.pos >= len(l.src) {
		return 0
	}
	return l.src[l.pos]
}

// header reads [table] or [[array]].
func (l *locator) header(root *Node) {
	l.pos++
	array := l.next() == '['
	if array {
		l.pos++
	}
	table, key, at := l.dotted(root)
	if array {
		l.add(l.child(table, key, at), at)
		l.table = at
		return
	}
	l.table = l.child(table, key, at)
	if l.table.header {
		l.note(l.table, at)
	}
	l.table.header = true
}

// keyValue reads key = value into a table.
func (l *locator) keyValue(table *Node) {
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
	l.value(l.child(table, key, at))
}

// dotted reads a key of one or more parts. It returns the table of the last part, that part, and its position.
func (l *locator) dotted(table *Node) (*Node, string, *Node) {
	for range MaxDepth {
		l.skip(" \t")
		at := l.mark()
		key := l.keyPart()
		l.skip(" \t")
		if l.next() != '.' {
			return table, key, at
		}
		l.pos++
		table = l.child(table, key, at).last()
	}
	l.tooDeep()
	return table, "", l.mark()
}

func (l *locator) keyPart() string {
	start := l.pos
	if c := l.next(); c == '"' || c == '\'' {
		l.text()
		text := l.src[start:l.pos]
		if unquoted, err := strconv.Unquote(goEscapes(text)); err == nil && c == '"' {
			return unquoted
		}
		return strings.Trim(text, string(c))
	}
	for isBare(l.next()) {
		l.pos++
	}
	return l.src[start:l.pos]
}

var newEscapes = regexp.MustCompile(`\\(\\|e|x[0-9A-Fa-f]{2})`)

// goEscapes translates the escapes of TOML 1.1 to Go's: \e, and \xHH, which is a character in TOML but a byte in Go.
func goEscapes(text string) string {
	return newEscapes.ReplaceAllStringFunc(text, func(escape string) string {
		switch escape[1] {
		case 'e':
			return `\u001b`
		case 'x':
			return `\u00` + escape[2:]
		}
		return escape
	})
}

func (l *locator) note(first, second *Node) {
	if l.twice == nil {
		l.twice = &Duplicate{first, second}
	}
}
