// Package keyed decodes TOML into values that carry their keys. A language is a struct type, whose tagged fields are keys, and
// a [Rule] for each key, by its path:
//
//	type Config struct {
//		Name   keyed.Value[string] `toml:"name"`
//		Server keyed.List[Server]  `toml:"server"` // [[server]], a struct with a field Key
//	}
//
//	tables := keyed.NewTables(reflect.TypeFor[Config](), map[string]keyed.Rule{
//		"name":        {Doc: "Name of the site.", Required: true},
//		"server.port": {Doc: "Port.", Most: 65535},
//	})
//
// Every value carries its key, a [diag.Key]: its path, such as "server[1].port", its position in the text, and whether the text has
// it. An absent key has the position of the table that lacks it. So code that uses a value later can report an error at it, and
// Written distinguishes an absent key from a zero value.
//
// [Tables.Decode] reports all errors that the rules show at once: unknown and missing keys, wrong types, and values that are
// never valid. What depends on several keys is up to the language, which adds its problems to the same [Reporter]. A text from
// outside costs time and memory in proportion to its length, and the report stays short.
package keyed

import (
	"reflect"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// A Value is the value of a key, with the key: its position in the text, or, if it is absent, that of the table that lacks it.
// An absent key has the zero value. T is string, bool, int64, uint32, a type of text, which takes every text, or a [Scalar].
type Value[T any] struct {
	V   T
	Key diag.Key
}

// Written reports whether the document has the key.
func (v Value[T]) Written() bool { return v.Key.Written }

// A List is an array, with its key. Its elements are values or tables, which have keys of their own.
type List[T any] struct {
	Items []T
	Key   diag.Key
}

// Written reports whether the document has the key.
func (l List[T]) Written() bool { return l.Key.Written }

// A Scalar is a type of the language that parses itself from a value of any TOML type, as the TOML library returns it: string,
// int64, and so on. [KindOf] names the type in an error, which may be a [diag.Mistake] with a hint.
type Scalar interface{ ParseTOML(v any) error }

// A holder is a Value or a List: it fills itself from the document's value v, nil if the key is absent.
type holder interface {
	fill(d *decoder, f *Field, k diag.Key, v any, at *tomlpos.Node)
	element() (of reflect.Type, list bool) // the type of V, or of an element of Items
}

func (v *Value[T]) element() (reflect.Type, bool) { return reflect.TypeFor[T](), false }
func (l *List[T]) element() (reflect.Type, bool)  { return reflect.TypeFor[T](), true }

// fill keeps the key even if the value is absent or wrong.
func (v *Value[T]) fill(d *decoder, f *Field, k diag.Key, doc any, _ *tomlpos.Node) {
	if v.Key = k; doc != nil {
		d.scalar(f, k, doc, &v.V)
	}
}

// fill reports an array with too many elements before it makes any, so that a hostile text cannot make the program allocate
// much more than its own size.
func (l *List[T]) fill(d *decoder, f *Field, k diag.Key, doc any, at *tomlpos.Node) {
	if l.Key = k; doc == nil {
		return
	}
	elements, ok := elementsOf(doc)
	if !ok {
		d.wrongType(f, k, doc, l)
		return
	}
	elements = d.bounded(f, k, elements)
	l.Items = make([]T, len(elements))
	for i, element := range elements {
		below := at.Item(i)
		d.value(f, d.keyOf(tomlpos.Index(k.Path, i), k.Position, element, below), element, below, &l.Items[i])
	}
}

// elementsOf returns the elements of an array: the library has a type of its own for arrays of tables.
func elementsOf(doc any) ([]any, bool) {
	switch list := doc.(type) {
	case []any:
		return list, true
	case []map[string]any:
		elements := make([]any, len(list))
		for i := range list {
			elements[i] = list[i]
		}
		return elements, true
	}
	return nil, false
}
