package closure

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/tree"
)

// Limits of a derivation. Real ones have at most a few megabytes and a dozen outputs.
const (
	maxDerivation = 64 << 20 // bytes
	maxOutputs    = 1 << 10
)

// Outputs returns the outputs of a derivation, sorted by ID. Outputs without a path (their path depends on what is built) are left
// out, as they are when Nix registers a derivation (addValidPath in local-store.cc).
func (f Flavor) Outputs(derivation *tree.Node) ([]Output, error) {
	if derivation.Kind() != tree.File || derivation.Size() > maxDerivation {
		return nil, invalid("a %v of %d bytes, not a derivation", derivation.Kind(), derivation.Size())
	}
	text, err := tree.ReadAll(derivation.Blob(), maxDerivation)
	if err != nil {
		return nil, err
	}
	return f.parseOutputs(string(text))
}

// parseOutputs reads the start of a derivation, an ATerm (unparse in derivations.cc):
//
//	Derive([("out","/nix/store/…","",""),("dev",…)],…
//
// Each output has a name, a path, a hash algorithm, and a hash.
func (f Flavor) parseOutputs(text string) ([]Output, error) {
	t := &term{rest: text}
	t.expect("Derive([")
	var outputs []Output
	for first := true; t.err == nil && !t.skip("]"); first = false {
		if !first {
			t.expect(",")
		}
		id, path := t.output()
		if t.err != nil || path == "" {
			continue
		}
		if len(outputs) == maxOutputs {
			return nil, invalid("more than %d outputs", maxOutputs)
		}
		o, err := f.output(id, path)
		if err != nil {
			return nil, invalid("%v", err)
		}
		outputs = append(outputs, o)
	}
	if t.err != nil {
		return nil, invalid("at byte %d: %v", len(text)-len(t.rest), t.err)
	}
	slices.SortFunc(outputs, func(a, b Output) int { return cmp.Compare(a.ID, b.ID) })
	for i, o := range outputs[:max(0, len(outputs)-1)] {
		if o.ID == outputs[i+1].ID {
			return nil, invalid("output %.40q is listed twice", o.ID)
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
func (t *term) output() (id, path string) {
	t.expect("(")
	id = t.string()
	t.expect(",")
	path = t.string()
	t.expect(",")
	t.string()
	t.expect(",")
	t.string()
	t.expect(")")
	return id, path
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
