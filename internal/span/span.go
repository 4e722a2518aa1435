// Package span maps the bytes of a format to structures and their fields, so that faults and explanations can name a byte.
package span

import (
	"cmp"
	"encoding/binary"
	"iter"
	"reflect"
	"slices"
	"sort"
)

// A Span is the bytes [Off, Off+Len) and what they are.
type Span[T any] struct {
	Off, Len int64
	What     T
}

// End returns the offset after the span.
func (s Span[T]) End() int64 { return s.Off + s.Len }

// A Map is a list of spans sorted by offset. Spans may overlap, which is a fault in whatever they describe.
type Map[T any] []Span[T]

// Add appends a span unless it is empty. Call [Map.Sort] before looking anything up.
func (m *Map[T]) Add(off, n int64, what T) {
	if n > 0 {
		*m = append(*m, Span[T]{off, n, what})
	}
}

// Sort sorts the spans by offset, and longer ones first at the same offset.
func (m Map[T]) Sort() {
	slices.SortStableFunc(m, func(a, b Span[T]) int {
		return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(b.Len, a.Len))
	})
}

// Before returns the index of the last span that begins at or before an offset, -1 if there is none.
func (m Map[T]) Before(off int64) int {
	return sort.Search(len(m), func(i int) bool { return m[i].Off > off }) - 1
}

// At returns the last span that begins at or before an offset, if the offset is in it.
func (m Map[T]) At(off int64) (s Span[T], ok bool) {
	i := m.Before(off)
	if i < 0 || off >= m[i].End() {
		return s, false
	}
	return m[i], true
}

// Overlaps yields each span that begins before an earlier one ends, preceded by the earlier one that ends last.
func (m Map[T]) Overlaps() iter.Seq2[Span[T], Span[T]] {
	return func(yield func(Span[T], Span[T]) bool) {
		far := 0
		for i := 1; i < len(m); i++ {
			if m[i].Off < m[far].End() && !yield(m[far], m[i]) {
				return
			}
			if m[i].End() > m[far].End() {
				far = i
			}
		}
	}
}

// Fields returns the fields of consecutive structures without padding, as encoding/binary reads them: names by offset.
// Structures are values or pointers.
func Fields(structures ...any) Map[string] {
	var m Map[string]
	end := int64(0)
	for _, s := range structures {
		v := reflect.Indirect(reflect.ValueOf(s))
		for i := range v.NumField() {
			n := int64(binary.Size(v.Field(i).Interface()))
			m.Add(end, n, v.Type().Field(i).Name)
			end += n
		}
	}
	return m
}

// Row returns consecutive fields from byte 0, given by length and name.
func Row(fields ...Field) Map[string] {
	var m Map[string]
	end := int64(0)
	for _, f := range fields {
		m.Add(end, f.Len, f.Name)
		end += f.Len
	}
	return m
}

// A Field is the length of a field in bytes, and its name.
type Field struct {
	Len  int64
	Name string
}

// Offset returns the offset of the field of that name, which must exist.
func Offset(m Map[string], name string) int64 {
	return m[slices.IndexFunc(m, func(s Span[string]) bool { return s.What == name })].Off
}
