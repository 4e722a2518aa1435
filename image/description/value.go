package description

import (
	"reflect"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// A Value is the value of a key, with the key: its position in the text, or, if it is absent, that of the table that lacks it.
// An absent key has the zero value, or its default after [Image.WithDefaults].
type Value[T any] struct {
	V   T
	Key diag.Key
}

// Written reports whether the description has the key.
func (v Value[T]) Written() bool { return v.Key.Written }

// A List is an array, with its key. Its elements are values or tables, which have keys of their own.
type List[T any] struct {
	Items []T
	Key   diag.Key
}

// Written reports whether the description has the key.
func (l List[T]) Written() bool { return l.Key.Written }

// Values of the basic types.
type (
	Text   = Value[string]
	Bool   = Value[bool]
	Int    = Value[int64]
	Number = Value[uint32] // a user or group ID
)

// A holder is a Value or a List: it fills itself from the document's value v, nil if the key is absent.
type holder interface {
	fill(d *decoder, f *field, k diag.Key, v any, at *tomlpos.Node)
	element() (of reflect.Type, list bool) // the type of V, or of an element of Items
}

func (v *Value[T]) element() (reflect.Type, bool) { return reflect.TypeFor[T](), false }
func (l *List[T]) element() (reflect.Type, bool)  { return reflect.TypeFor[T](), true }

// fill keeps the key even if the value is absent or wrong.
func (v *Value[T]) fill(d *decoder, f *field, k diag.Key, doc any, _ *tomlpos.Node) {
	if v.Key = k; doc != nil {
		d.scalar(f, k, doc, &v.V)
	}
}

// fill reports an array with too many elements before it makes any, so that a hostile text cannot make imprint allocate much
// more than its own size.
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

// Strings returns the elements of an array of texts.
func Strings(l List[Text]) []string {
	var texts []string
	for _, v := range l.Items {
		texts = append(texts, v.V)
	}
	return texts
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
