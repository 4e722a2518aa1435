// Package sexp reads S-expressions as libgcrypt does (RFC 9804, and "S-expressions" in its manual): canonical ones, in which each string has its length
// before it, and the advanced form, with tokens, quoted and hexadecimal strings.
package sexp

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A Node is a list, or a string of any bytes.
type Node struct {
	Text   string
	IsList bool
	List   []Node
}

const (
	maxDepth = 64
	maxText  = 64 << 10 // bytes of an expression
)

// Parse reads one expression, with spaces around it.
func Parse(text string) (Node, error) {
	if len(text) > maxText {
		return Node{}, fmt.Errorf("an S-expression of %d bytes, more than %d", len(text), maxText)
	}
	p := &parser{text: strings.TrimRight(text, "\x00")} // libgcrypt may count the end of a C string
	n, err := p.node(0)
	if err != nil {
		return n, err
	}
	if p.space(); p.at < len(p.text) {
		return n, p.errorf("something follows the expression")
	}
	return n, nil
}

// Find returns the list in a list that begins with a name, such as (name …).
func (n Node) Find(name string) (Node, bool) {
	for _, c := range n.List {
		if c.Is(name) {
			return c, true
		}
	}
	return Node{}, false
}

// Is reports whether a node is a list that begins with a name.
func (n Node) Is(name string) bool {
	return len(n.List) > 0 && !n.List[0].IsList && n.List[0].Text == name
}

// Value returns the string of a pair (name string) in a list.
func (n Node) Value(name string) (string, bool) {
	pair, ok := n.Find(name)
	if !ok || len(pair.List) != 2 || pair.List[1].IsList {
		return "", false
	}
	return pair.List[1].Text, true
}

type parser struct {
	text string
	at   int
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("not an S-expression: byte %d: %s", p.at, fmt.Sprintf(format, args...))
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n\v\f", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) node(depth int) (n Node, err error) {
	p.space()
	switch {
	case p.at == len(p.text):
		return n, p.errorf("it ends too early")
	case depth > maxDepth:
		return n, p.errorf("more than %d lists in each other", maxDepth)
	}
	switch c := p.text[p.at]; {
	case c == '(':
		p.at++
		return p.list(depth)
	case c == '#':
		n.Text, err = p.between('#', func(s string) ([]byte, error) { return hex.DecodeString(strings.Join(strings.Fields(s), "")) })
	case c == '|':
		n.Text, err = p.between('|', func(s string) ([]byte, error) {
			return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
		})
	case c == '"':
		n.Text, err = p.quoted()
	case '0' <= c && c <= '9':
		n.Text, err = p.counted()
	case isToken(c):
		from := p.at
		for p.at < len(p.text) && (isToken(p.text[p.at]) || '0' <= p.text[p.at] && p.text[p.at] <= '9') {
			p.at++
		}
		n.Text = p.text[from:p.at]
	default:
		err = p.errorf("unexpected %q", c)
	}
	return n, err
}

func (p *parser) list(depth int) (Node, error) {
	n := Node{IsList: true}
	for {
		if p.space(); p.at < len(p.text) && p.text[p.at] == ')' {
			p.at++
			return n, nil
		}
		c, err := p.node(depth + 1)
		if err != nil {
			return n, err
		}
		n.List = append(n.List, c)
	}
}

// between decodes what is between two marks.
func (p *parser) between(mark byte, decode func(string) ([]byte, error)) (string, error) {
	inside, _, ok := strings.Cut(p.text[p.at+1:], string(mark))
	if !ok {
		return "", p.errorf("the second %q is missing", mark)
	}
	b, err := decode(inside)
	if err != nil {
		return "", p.errorf("%v", err)
	}
	p.at += len(inside) + 2
	return string(b), nil
}

// quoted reads a string between quotation marks, with the escapes of C.
func (p *parser) quoted() (string, error) {
	end := p.at + 1
	for end < len(p.text) && p.text[end] != '"' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.text) {
		return "", p.errorf("the second quotation mark is missing")
	}
	s, err := strconv.Unquote(p.text[p.at : end+1])
	if err != nil {
		return "", p.errorf("%.60q is not a string", p.text[p.at:end+1])
	}
	p.at = end + 1
	return s, nil
}

// counted reads a length, a colon and that many bytes.
func (p *parser) counted() (string, error) {
	digits, rest, ok := strings.Cut(p.text[p.at:], ":")
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil || len(digits) > 1 && digits[0] == '0' {
		return "", p.errorf("no length and colon")
	}
	if n > uint64(len(rest)) {
		return "", p.errorf("it ends %d bytes too early", n-uint64(len(rest)))
	}
	p.at += len(digits) + 1 + int(n)
	return rest[:n], nil
}

func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-./_:*+=", c) >= 0
}
