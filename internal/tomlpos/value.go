package tomlpos

import "strings"

// value skips a value, and records the positions in it.
func (l *locator) value(at *Node) {
	switch l.next() {
	case '[':
		l.nested(func() { l.array(at) })
	case '{':
		l.nested(func() { l.inlineTable(at) })
	case '"', '\'':
		l.text()
	default:
		l.until(",]}#\n")
	}
}

func (l *locator) nested(inside func()) {
	if l.depth++; l.depth > MaxDepth {
		l.tooDeep()
		return
	}
	inside()
	l.depth--
}

func (l *locator) array(at *Node) {
	l.pos++
	for l.limit == nil {
		l.space()
		if c := l.next(); c == ']' || c == 0 {
			l.pos = min(l.pos+1, len(l.src))
			return
		}
		start := l.pos
		element := l.mark()
		l.add(at, element)
		l.value(element)
		l.separator(start)
	}
}

func (l *locator) inlineTable(at *Node) {
	l.pos++
	for l.limit == nil {
		l.space()
		if c := l.next(); c == '}' || c == 0 {
			l.pos = min(l.pos+1, len(l.src))
			return
		}
		start := l.pos
		l.keyValue(at)
		l.separator(start)
	}
}

// separator skips the comma after an element. It always advances, so that broken text cannot loop: start is where the element
// began.
func (l *locator) separator(start int) {
	l.space()
	if l.next() == ',' || l.pos == start {
		l.pos = min(l.pos+1, len(l.src))
	}
}

// text skips a string of any of the four kinds: basic or literal, on one line or several.
func (l *locator) text() {
	quote := l.src[l.pos : l.pos+1]
	if three := strings.Repeat(quote, 3); strings.HasPrefix(l.src[l.pos:], three) {
		l.pos += 3
		l.textUntil(three)
		// One or two quotation marks may directly precede the closing three.
		for i := 0; i < 2 && l.pos < len(l.src) && l.src[l.pos] == quote[0]; i++ {
			l.pos++
		}
		return
	}
	l.pos++
	l.textUntil(quote)
}

// textUntil skips the rest of a string and its closing mark. A single-line string without one ends with the line.
func (l *locator) textUntil(closing string) {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case strings.HasPrefix(l.src[l.pos:], closing):
			l.pos += len(closing)
			return
		case c == '\\' && closing[0] == '"':
			l.pos++
		case c == '\n' && len(closing) == 1:
			return
		}
		l.pos = min(l.pos+1, len(l.src))
	}
}
