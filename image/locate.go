package image

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"imprint/internal/diag"
)

// places tells where each key of a description stands.
type places struct {
	file string
	root *place
}

// A place is where a key or an element of an array stands, and what lies below it. Line and column count from 1, the column in
// characters; the root has none.
type place struct {
	line, col int32
	header    bool // defined by a [header]
	keys      map[string]*place
	items     []*place // of an array, or of an array of tables
}

// lookup gives the place of a key path such as "partition[1].size", or of the nearest table around it that is there. found says
// whether it was the key itself.
func (p places) lookup(key string) (at diag.Place, found bool) {
	here := p.root
	for key != "" && here != nil {
		var below *place
		if below, key = here.step(key); below == nil {
			return here.in(p.file), false
		}
		here = below
	}
	if here == nil {
		return diag.Place{File: p.file}, false
	}
	return here.in(p.file), true
}

func (p *place) in(file string) diag.Place {
	return diag.Place{File: file, Line: int(p.line), Col: int(p.col)}
}

// step goes down by the first part of a key path and gives the rest of the path; the place is nil when there is none.
func (p *place) step(key string) (*place, string) {
	if index, ok := strings.CutPrefix(key, "["); ok {
		digits, rest, _ := strings.Cut(index, "]")
		i, err := strconv.Atoi(digits)
		if err != nil || i < 0 || i >= len(p.items) {
			return nil, ""
		}
		return p.items[i], strings.TrimPrefix(rest, ".")
	}
	if quoted, err := strconv.QuotedPrefix(key); err == nil {
		name, _ := strconv.Unquote(quoted)
		return p.keys[name], strings.TrimPrefix(key[len(quoted):], ".")
	}
	end := strings.IndexAny(key, ".[")
	if end < 0 {
		return p.keys[key], ""
	}
	return p.keys[key[:end]], strings.TrimPrefix(key[end:], ".")
}

// join appends a key to the path of the table it stands in; a key that is not bare (TOML 1.0, "Keys") is quoted.
func join(table, key string) string {
	bare := key != ""
	for i := range len(key) {
		bare = bare && isBare(key[i])
	}
	if !bare {
		key = strconv.Quote(key)
	}
	if table == "" {
		return key
	}
	return table + "." + key
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

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

// A duplicate is a key that is defined twice.
type duplicate struct {
	key           string
	first, second place
}

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
		l.note(key, l.table, at)
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
		l.note(key, there, at)
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

func (l *locator) note(key string, first, second *place) {
	if l.twice == nil {
		l.twice = &duplicate{key: key, first: *first, second: *second}
	}
}

// child gives the place of a key below p, which is at when there was none.
func (p *place) child(key string, at *place) *place {
	if below := p.keys[key]; below != nil {
		return below
	}
	if p.keys == nil {
		p.keys = map[string]*place{}
	}
	// An array of tables is where its first header is; the header's own place is the element's.
	p.keys[key] = &place{line: at.line, col: at.col}
	return p.keys[key]
}

// last is the last element of an array of tables, which is what the name of the array means in a header; else p itself.
func (p *place) last() *place {
	if len(p.items) > 0 {
		return p.items[len(p.items)-1]
	}
	return p
}
