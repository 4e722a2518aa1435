// Package derivation reads the outputs of a derivation of Nix or Guix.
package derivation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Limits of a derivation. Real ones have at most a few megabytes and a dozen outputs.
const (
	MaxSize    = 64 << 20 // bytes
	maxOutputs = 1 << 10
)

// An Output is what a derivation builds. Both texts are as they are in it, unchecked.
type Output struct {
	ID   string // such as "out"
	Path string // "" if it depends on what is built
}

// Outputs reads the start of a derivation, an ATerm (unparse in derivations.cc):
//
//	Derive([("out","/nix/store/…","",""),("dev",…)],…
//
// Each output has a name, a path, a hash algorithm, and a hash. The result is sorted by ID, of which each occurs once.
func Outputs(text string) ([]Output, error) {
	t := &term{rest: text}
	t.expect("Derive([")
	var outputs []Output
	for first := true; t.err == nil && !t.skip("]"); first = false {
		if !first {
			t.expect(",")
		}
		if len(outputs) == maxOutputs {
			return nil, fmt.Errorf("more than %d outputs", maxOutputs)
		}
		outputs = append(outputs, t.output())
	}
	if t.err != nil {
		return nil, fmt.Errorf("at byte %d: %w", len(text)-len(t.rest), t.err)
	}
	slices.SortFunc(outputs, func(a, b Output) int { return cmp.Compare(a.ID, b.ID) })
	for i, o := range outputs[:max(0, len(outputs)-1)] {
		if o.ID == outputs[i+1].ID {
			return nil, fmt.Errorf("output %.40q is listed twice", o.ID)
		}
	}
	return outputs, nil
}

// A term is the unread rest of an ATerm, and the first error in it.
type term struct {
	rest string
	err  error
}

// skip removes s from the beginning of the rest, and reports whether it was there.
func (t *term) skip(s string) (there bool) {
	t.rest, there = strings.CutPrefix(t.rest, s)
	return there
}

// expect is skip for a text that must be there. After the first error it does nothing, so that callers check for one only at the end.
func (t *term) expect(s string) {
	if t.err == nil && !t.skip(s) {
		t.err = fmt.Errorf("%q is missing", s)
	}
}

// output reads one output. Its hash algorithm and hash are not needed.
func (t *term) output() (o Output) {
	t.expect("(")
	o.ID = t.string()
	t.expect(",")
	o.Path = t.string()
	t.expect(",")
	t.string()
	t.expect(",")
	t.string()
	t.expect(")")
	return o
}

// string reads a quoted string. After a backslash, n, r and t stand for line feed, carriage return and tab, any other character for itself.
func (t *term) string() string {
	t.expect(`"`)
	var s strings.Builder
	for t.err == nil {
		i := strings.IndexAny(t.rest, `"\`)
		if i < 0 || i+1 == len(t.rest) && t.rest[i] == '\\' {
			t.err = fmt.Errorf("string without a closing quote")
			break
		}
		s.WriteString(t.rest[:i])
		c := t.rest[i]
		t.rest = t.rest[i+1:]
		if c == '"' {
			break
		}
		s.WriteByte(unescaped(t.rest[0]))
		t.rest = t.rest[1:]
	}
	return s.String()
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
