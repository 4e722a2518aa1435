package reference

import (
	"reflect"
	"strconv"

	"imprint/image/description"
	"imprint/internal/keyed"
)

// A tableText describes a table of the language, for the manual.
type tableText struct {
	Header string // as a description begins it: "[boot]" or "[[boot.entry]]"; "" for the keys at the top
	Doc    string
	Keys   []keyText // in the order of the table, without the tables below it
}

// A keyText describes a key.
type keyText struct {
	Name, Kind, Doc string
	Required        bool
	Default         any      // nil if there is none
	Examples        []any    // TOML values
	Words           []string // the only valid values; nil if there are others
}

// texts describes the language: every table, each before those in it.
func texts() []tableText { return textsOf(tableText{}, reflect.TypeFor[description.Image]()) }

// textsOf completes the description of a table, and returns it with those of the tables in it.
func textsOf(text tableText, table reflect.Type) []tableText {
	var below []tableText
	for _, f := range description.Tables().Of(table) {
		if !f.IsTable() {
			text.Keys = append(text.Keys, keyText{f.Name, kindOfKey(f), f.Doc, f.Required, f.Default, f.Examples, allWords(f)})
			continue
		}
		header := "[" + f.Path + "]"
		if f.List {
			header = "[" + header + "]"
		}
		below = append(below, textsOf(tableText{Header: header, Doc: f.Doc}, f.Type)...)
	}
	return append([]tableText{text}, below...)
}

// allWords returns the only values that a key takes, as text; nil if there are others.
func allWords(f keyed.Field) []string {
	switch {
	case f.Type == reflect.TypeFor[description.Flag]():
		return description.FlagNames()
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
	reflect.TypeFor[description.Template]():  "text with substitutions",
	reflect.TypeFor[description.Size]():      "size",
	reflect.TypeFor[description.Variables](): "table of texts",
	reflect.TypeFor[description.Free]():      "size or percentage",
	reflect.TypeFor[description.Mode]():      "text of octal digits",
	reflect.TypeFor[description.Flag]():      "name or number of a bit",
}
