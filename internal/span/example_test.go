package span_test

import (
	"fmt"

	"imprint/internal/span"
)

// A map of an image names the structure of a byte, and a row of fields the field in it.
func Example() {
	header := span.Row(span.Field{Len: 4, Name: "magic"}, span.Field{Len: 8, Name: "size"})
	var m span.Map[string]
	m.Add(100, 12, "header")
	m.Add(108, 50, "table")
	m.Sort()
	if s, ok := m.At(105); ok {
		field, _ := header.At(105 - s.Off)
		fmt.Println(s.What, field.What)
	}
	for one, two := range m.Overlaps() {
		fmt.Println(one.What, "and", two.What, "overlap")
	}
	// Output:
	// header size
	// header and table overlap
}
