package bootparameters

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is the maximum depth of lists in lists. Real files have six.
const maxDepth = 32

// A value is a datum of Scheme: a text, a symbol, a list, or the bytes of a #vu8. Numbers and booleans are symbols.
type value any

type (
	symbol string
	list   []value
)

// A scanner reads data until the first error.
type scanner struct {
	text  string
	at    int // index of the next byte
	depth int
	err   error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("at byte %d: "+format, append([]any{s.at}, args...)...)
	}
}

// skip skips white space and comments.
func (s *scanner) skip() {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ';':
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				end = len(s.text) - s.at
			}
			s.at += end
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			s.at++
		default:
			return
		}
	}
}

// value reads one datum.
func (s *scanner) value() value {
	s.skip()
	switch rest := s.text[s.at:]; {
	case s.err != nil:
	case rest == "":
		s.fail("the text ends too early")
	case rest[0] == '(':
		s.at++
		return s.list()
	case rest[0] == '"':
		s.at++
		return s.string()
	case strings.HasPrefix(rest, "#vu8("):
		s.at += len("#vu8(")
		return s.bytes()
	default:
		return s.symbol()
	}
	return nil
}

// list reads the rest of a list.
func (s *scanner) list() value {
	if s.depth++; s.depth > maxDepth {
		s.fail("more than %d lists in each other", maxDepth)
	}
	defer func() { s.depth-- }()
	l := list{}
	for s.err == nil {
		if s.skip(); strings.HasPrefix(s.text[s.at:], ")") {
			s.at++
			return l
		}
		l = append(l, s.value())
	}
	return nil
}

// bytes reads the rest of a #vu8.
func (s *scanner) bytes() value {
	items, _ := s.list().(list)
	b := []byte{}
	for _, item := range items {
		digits, _ := item.(symbol)
		n, err := strconv.ParseUint(string(digits), 10, 8)
		if err != nil {
			s.fail("%.40q is no byte", item)
			return nil
		}
		b = append(b, byte(n))
	}
	return b
}

// delimiters end a symbol.
const delimiters = " \t\r\n\f()\";"

func (s *scanner) symbol() value {
	end := strings.IndexAny(s.text[s.at:], delimiters)
	if end < 0 {
		end = len(s.text) - s.at
	}
	if end == 0 {
		s.fail("%q is unexpected", s.text[s.at])
		return nil
	}
	name := s.text[s.at : s.at+end]
	s.at += end
	return symbol(name)
}

// string reads the rest of a text. After a backslash come a character that stands for itself or for a control character, or x, hexadecimal
// digits and a semicolon (R6RS, 4.2.7; Guile writes no others).
func (s *scanner) string() value {
	var b strings.Builder
	for {
		n := strings.IndexAny(s.text[s.at:], `"\`)
		if n < 0 || s.at+n+1 == len(s.text) && s.text[s.at+n] == '\\' {
			s.fail("a text without a closing quote")
			return nil
		}
		b.WriteString(s.text[s.at : s.at+n])
		c := s.text[s.at+n]
		if s.at += n + 1; c == '"' {
			break
		}
		s.escape(&b)
	}
	if !utf8.ValidString(b.String()) {
		s.fail("a text that is not UTF-8")
	}
	return b.String()
}

// escape reads what follows a backslash.
func (s *scanner) escape(b *strings.Builder) {
	c := s.text[s.at]
	s.at++
	const letters, meant = "abtnvfr", "\a\b\t\n\v\f\r"
	if i := strings.IndexByte(letters, c); i >= 0 {
		b.WriteByte(meant[i])
		return
	}
	if c != 'x' {
		b.WriteByte(c)
		return
	}
	digits, _, ok := strings.Cut(s.text[s.at:min(s.at+8, len(s.text))], ";")
	n, err := strconv.ParseUint(digits, 16, 21)
	if !ok || err != nil || !utf8.ValidRune(rune(n)) {
		s.fail("a character that is no Unicode")
		return
	}
	s.at += len(digits) + 1
	b.WriteRune(rune(n))
}
