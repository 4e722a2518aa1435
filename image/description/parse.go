package description

import (
	"reflect"
	"slices"
	"strings"

	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/keyed"
)

// MaxSource is the maximum length of a description in bytes.
const MaxSource = keyed.MaxSource

// Values that carry their keys; see package keyed. An absent key has the zero value, or its default after
// [Image.WithDefaults].
type (
	Value[T any] = keyed.Value[T]
	List[T any]  = keyed.List[T]

	Text   = Value[string]
	Bool   = Value[bool]
	Int    = Value[int64]
	Number = Value[uint32] // a user or group ID
)

// Strings returns the elements of an array of texts.
func Strings(l List[Text]) []string {
	var texts []string
	for _, v := range l.Items {
		texts = append(texts, v.V)
	}
	return texts
}

// Parse reads a description in TOML. It looks at the text only; file is its name in diagnostics. The error is a [diag.List] of
// all problems that the text shows by itself.
func Parse(file string, src []byte) (*Image, error) {
	c := &checker{Reporter: keyed.NewReporter(file), d: &Image{}}
	if tables.Decode(c.Reporter, src, c.d, withoutSubstitutions) {
		c.validate()
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return c.d, nil
}

// tables are the tables of the language and the keys in each.
var tables = keyed.NewTables(reflect.TypeFor[Image](), language.Keys())

// Tables returns the tables of the language and the keys in each, for those who describe it. They begin with that of [Image].
func Tables() *keyed.Tables { return tables }

// withoutSubstitutions returns an error for a text with substitutions that is not a [Template]. Where a file of the host is named, it may be an input.
func withoutSubstitutions(path, text string) error {
	if !strings.Contains(text, "${") {
		return nil
	}
	switch _, isInput := InputOf(text); {
	case isInput && slices.Contains(language.TakeInputs, path):
		return nil
	case isInput:
		return diag.Mistake{Text: "an input is not valid here", Hint: "inputs are valid where a file on the host is named: in " + strings.Join(language.TakeInputs, ", ")}
	case slices.Contains(language.TakeInputs, path):
		return diag.Mistake{Text: "substitutions are not valid here", Hint: "except for ${input.NAME}, alone"}
	}
	return diag.Mistake{Text: "substitutions are not valid here", Hint: "they are valid in " + strings.Join(templates(), ", ")}
}

// templates returns the names of the keys in which substitutions are valid, sorted by path.
func templates() (names []string) {
	for _, f := range tables.All() {
		if f.Type == reflect.TypeFor[Template]() && !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}
