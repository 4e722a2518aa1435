package description

import "imprint/internal/diag"

// A Value is what a key holds, with the key: where it was written, or, where it is absent, the position of the table that lacks it. V of
// an absent key is the zero value, or its default once [Image.WithDefaults] has filled it in.
type Value[T any] struct {
	V   T
	Key diag.Key
}

// Written reports whether the description has the key.
func (v Value[T]) Written() bool { return v.Key.Written }

func (v *Value[T]) setKey(k diag.Key) { v.Key = k }

// A List is an array, with its key. Its elements, which are values or tables, have keys of their own.
type List[T any] struct {
	Items []T
	Key   diag.Key
}

// Written reports whether the description has the key.
func (l List[T]) Written() bool { return l.Key.Written }

func (l *List[T]) setKey(k diag.Key) { l.Key = k }

// Kinds of value that have no type of their own.
type (
	Text   = Value[string]
	Bool   = Value[bool]
	Int    = Value[int64]
	Number = Value[uint32] // of a user or a group
)
