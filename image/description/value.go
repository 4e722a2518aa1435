package description

import (
	"reflect"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// A Value is what a key holds, with the key: where it was written, or, where it is absent, the position of the table that lacks it. V of
// an absent key is the zero value, or its default once [Image.WithDefaults] has filled it in.
type Value[T any] struct {
	V   T
	Key diag.Key
}

// Written reports whether the description has the key.
func (v Value[T]) Written() bool { return v.Key.Written }

// A List is an array, with its key. Its elements, which are values or tables, have keys of their own.
type List[T any] struct {
	Items []T
	Key   diag.Key
}

// Written reports whether the description has the key.
func (l List[T]) Written() bool { return l.Key.Written }

// Kinds of value that have no type of their own.
type (
	Text   = Value[string]
	Bool   = Value[bool]
	Int    = Value[int64]
	Number = Value[uint32] // of a user or a group
)

// A holder is a Value or a List. It takes its key, and what the document has there: nil where the key is absent.
type holder interface {
	fill(d *decoder, f *field, k diag.Key, v any, at *tomlpos.Node)
	element() (of reflect.Type, list bool) // the type of V, or of an element of Items
}

func (v *Value[T]) element() (reflect.Type, bool) { return reflect.TypeFor[T](), false }
func (l *List[T]) element() (reflect.Type, bool)  { return reflect.TypeFor[T](), true }

func (v *Value[T]) fill(d *decoder, f *field, k diag.Key, doc any, _ *tomlpos.Node) {
	if v.Key = k; doc != nil {
		d.scalar(f, k, doc, &v.V)
	}
}

func (l *List[T]) fill(d *decoder, f *field, k diag.Key, doc any, at *tomlpos.Node) {
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

// texts are the elements of an array of texts.
func texts(l List[Text]) []string {
	var texts []string
	for _, v := range l.Items {
		texts = append(texts, v.V)
	}
	return texts
}

// elementsOf are the elements of either form of a TOML array.
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
