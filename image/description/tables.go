package description

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/keyed"
)

// tables are the tables of the language and the keys in each.
var tables = keyed.NewTables(reflect.TypeFor[Image](), language.Keys())

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

// keyNamed returns a key of a partition by its name.
func (p *Partition) keyNamed(name string) diag.Key {
	table := reflect.ValueOf(p).Elem()
	for _, f := range tables.Of(table.Type()) {
		if f.Name == name {
			return table.Field(f.Index).FieldByName("Key").Interface().(diag.Key)
		}
	}
	panic("no key of a partition: " + name) // from a row of package partition; a test checks them all
}

// A TableText describes a table of the language, for the manual.
type TableText struct {
	Header string // as a description begins it: "[boot]" or "[[boot.entry]]"; "" for the keys at the top
	Doc    string
	Keys   []KeyText // in the order of the table, without the tables below it
}

// A KeyText describes a key.
type KeyText struct {
	Name, Kind, Doc string
	Required        bool
	Default         any      // nil if there is none
	Examples        []any    // TOML values
	Words           []string // the only valid values; nil if there are others
}

// Texts describes the language: every table, each before those in it.
func Texts() []TableText { return textsOf(TableText{}, reflect.TypeFor[Image]()) }

// textsOf completes the description of a table, and returns it with those of the tables in it.
func textsOf(text TableText, table reflect.Type) []TableText {
	var below []TableText
	for _, f := range tables.Of(table) {
		if !f.IsTable() {
			text.Keys = append(text.Keys, KeyText{f.Name, kindOfKey(f), f.Doc, f.Required, f.Default, f.Examples, allWords(f)})
			continue
		}
		header := "[" + f.Path + "]"
		if f.List {
			header = "[" + header + "]"
		}
		below = append(below, textsOf(TableText{Header: header, Doc: f.Doc}, f.Type)...)
	}
	return append([]TableText{text}, below...)
}

// allWords returns the only values that a key takes, as text; nil if there are others.
func allWords(f keyed.Field) []string {
	switch {
	case f.Type == reflect.TypeFor[Flag]():
		return slices.Sorted(maps.Keys(flagBits))
	case f.Numbers != nil:
		words := make([]string, len(f.Numbers))
		for i, n := range f.Numbers {
			words[i] = strconv.FormatInt(n, 10)
		}
		return words
	}
	return f.Words
}

// kindOfKey returns the type of a key in words.
func kindOfKey(f keyed.Field) string {
	kind, ok := kinds[f.Type]
	switch {
	case f.Path == "partition.size":
		kind = "size or \"auto\""
	case !ok && f.Type.Kind() == reflect.String:
		kind = "text"
	case !ok && f.Type.Kind() == reflect.Bool:
		kind = "true or false"
	case !ok:
		kind = "integer"
	}
	if f.List {
		return "array: " + kind
	}
	return kind
}

// kinds names the types that TOML does not have.
var kinds = map[reflect.Type]string{
	reflect.TypeFor[Template]():  "text with substitutions",
	reflect.TypeFor[Size]():      "size",
	reflect.TypeFor[Variables](): "table of texts",
	reflect.TypeFor[Free]():      "size or percentage",
	reflect.TypeFor[Mode]():      "text of octal digits",
	reflect.TypeFor[Flag]():      "name or number of a bit",
}
