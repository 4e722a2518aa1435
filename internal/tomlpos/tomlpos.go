// Package tomlpos finds the positions of the keys and array elements of a TOML document. TOML libraries report the position of
// a syntax error, but not that of an unknown key or of a value of the wrong type.
//
// It accepts any text, since a decoder validates it; in text that is not TOML the positions only serve to point at the error.
// In valid TOML 1.0 or 1.1 it finds exactly the keys that a decoder finds.
package tomlpos

import (
	"fmt"
	"iter"
	"strconv"
)

// Bounds of a document, which limit the memory for hostile text.
const (
	// MaxDepth is the maximum depth of nested tables and arrays. Decoders recurse, and the memory of some grows with the square
	// of the depth.
	MaxDepth = 32
	// MaxNodes is the maximum number of keys and array elements.
	MaxNodes = 1 << 18
)

// A Node is a key or an array element: its position and its children. The nil Node has neither.
type Node struct {
	line, col int32
	header    bool // defined by a [header]
	keys      map[string]*Node
	items     []*Node // of an array, or of an array of tables
}

// A Document holds the positions found in a text.
type Document struct {
	Root  *Node      // the top-level table, which has no position
	Twice *Duplicate // the first key that is defined twice; nil for none
}

// A Duplicate is a key that is defined twice. First is its node in the document.
type Duplicate struct{ First, Second *Node }

// A LimitError reports a text that exceeds a bound, and where. The rest of the text is not read.
type LimitError struct {
	Line, Col int
	Text      string
}

// Error implements error.
func (e *LimitError) Error() string { return e.Text }

// Pos returns line and column, counted from 1, the column in characters. They are 0 for the top-level table.
func (n *Node) Pos() (line, col int) {
	if n == nil {
		return 0, 0
	}
	return int(n.line), int(n.col)
}

// Key returns the node of a key in a table, nil if there is none.
func (n *Node) Key(name string) *Node {
	if n == nil {
		return nil
	}
	return n.keys[name]
}

// Item returns the node of an element of an array, nil if there is none.
func (n *Node) Item(i int) *Node {
	if n == nil || i >= len(n.items) {
		return nil
	}
	return n.items[i]
}

// All yields n and all nodes below it with their paths, such as "a.b[1]"; the path of n is "".
func (n *Node) All() iter.Seq2[string, *Node] {
	return func(yield func(string, *Node) bool) { n.walk("", yield) }
}

func (n *Node) walk(path string, yield func(string, *Node) bool) bool {
	if !yield(path, n) {
		return false
	}
	for name, below := range n.keys {
		if !below.walk(Join(path, name), yield) {
			return false
		}
	}
	for i, item := range n.items {
		if !item.walk(Index(path, i), yield) {
			return false
		}
	}
	return true
}

// Join appends a key to the path of its table, "" at the top. A key that is not bare (TOML 1.0, "Keys") is quoted.
func Join(table, key string) string {
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

// Index appends the index of an element to the path of its array.
func Index(array string, i int) string { return array + "[" + strconv.Itoa(i) + "]" }

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// child returns the node of a key below n, made at the position of at if it does not exist.
func (l *locator) child(n *Node, key string, at *Node) *Node {
	if below := n.keys[key]; below != nil {
		return below
	}
	if n.keys == nil {
		n.keys = map[string]*Node{}
	}
	// An array of tables has the position of its first header; the header's own node becomes the element.
	n.keys[key] = &Node{line: at.line, col: at.col}
	l.count()
	return n.keys[key]
}

// add appends an element to an array.
func (l *locator) add(array, element *Node) {
	array.items = append(array.items, element)
	l.count()
}

// count counts a node, and ends the scan when there are too many.
func (l *locator) count() {
	if l.nodes++; l.nodes > MaxNodes {
		l.exceed(fmt.Sprintf("has more than %d keys and array elements", MaxNodes))
	}
}

// last returns the last element of an array of tables, which is what the array's name means in a header; otherwise n itself.
func (n *Node) last() *Node {
	if len(n.items) > 0 {
		return n.items[len(n.items)-1]
	}
	return n
}
