package description

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// A field is a key of a table, and the field of the struct that holds it.
type field struct {
	keyword
	name  string
	path  string // in the language: without indices
	index int    // of the field in the struct
}

// tables holds the keys of every table, by the type of its struct, in the order of the struct. init fills it from the struct
// tags, so that reflection over types happens once.
var tables = map[reflect.Type][]field{}

// templateKeys holds the keys in which substitutions are valid.
var templateKeys = map[string]bool{}

func init() { addTable("", reflect.TypeFor[Image]()) }

// addTable reads the tags of a struct, and of the tables in it.
func addTable(path string, table reflect.Type) {
	for i := range table.NumField() {
		name, ok := table.Field(i).Tag.Lookup("toml")
		if !ok {
			continue
		}
		below := tomlpos.Join(path, name)
		row := language[below]
		row.def, row.examples = defaults[below], examples[below]
		tables[table] = append(tables[table], field{row, name, below, i})
		switch of, _ := elementType(table.Field(i).Type); {
		case isTable(of):
			addTable(below, of)
		case of == reflect.TypeFor[Template]():
			templateKeys[below] = true
		}
	}
}

// elementType returns the type of a Value's V or of a List's elements; a table is its own element type.
func elementType(t reflect.Type) (of reflect.Type, list bool) {
	h, ok := reflect.New(t).Interface().(holder)
	if !ok {
		return t, false
	}
	if of, list = h.element(); list {
		of, _ = elementType(of) // of a list of values, the type of their V
	}
	return of, list
}

// isTable reports whether a type of the description is a table: a struct with a Key. Values and scalars are not.
func isTable(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[holder]()) {
		return false
	}
	_, ok := t.FieldByName("Key")
	return ok
}

// names returns the names of the keys of a table, sorted.
func names(fields []field) []string {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// tablesWith returns the tables that have a key of that name, for the hint about a key in the wrong table.
func tablesWith(name string) []string {
	var tables []string
	for _, key := range slices.Sorted(maps.Keys(language)) {
		if table, found := strings.CutSuffix(key, "."+name); found {
			tables = append(tables, "["+table+"]")
		}
	}
	return tables
}

// templates returns the names of the keys in which substitutions are valid, sorted by path.
func templates() (names []string) {
	for _, key := range slices.Sorted(maps.Keys(templateKeys)) {
		if name := key[strings.LastIndexByte(key, '.')+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// keyNamed returns a key of a partition by its name.
func (p *Partition) keyNamed(name string) diag.Key {
	table := reflect.ValueOf(p).Elem()
	for _, f := range tables[table.Type()] {
		if f.name == name {
			return table.Field(f.index).FieldByName("Key").Interface().(diag.Key)
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
	for _, f := range tables[table] {
		of, isList := elementType(table.Field(f.index).Type)
		if !isTable(of) {
			text.Keys = append(text.Keys, KeyText{f.name, kindOfKey(f, of, isList), f.doc, f.required, f.def, f.examples, f.allWords(of)})
			continue
		}
		header := "[" + f.path + "]"
		if isList {
			header = "[" + header + "]"
		}
		below = append(below, textsOf(TableText{Header: header, Doc: f.doc}, of)...)
	}
	return append([]TableText{text}, below...)
}

// allWords returns the only values that a key takes, as text; nil if there are others.
func (f field) allWords(t reflect.Type) []string {
	switch {
	case t == reflect.TypeFor[Flag]():
		return slices.Sorted(maps.Keys(flagBits))
	case f.numbers != nil:
		words := make([]string, len(f.numbers))
		for i, n := range f.numbers {
			words[i] = strconv.FormatInt(n, 10)
		}
		return words
	}
	return f.words
}

// kindOfKey returns the type of a key in words.
func kindOfKey(f field, t reflect.Type, isList bool) string {
	kind, ok := kinds[t]
	switch {
	case f.path == "partition.size":
		kind = "size or \"auto\""
	case !ok && t.Kind() == reflect.String:
		kind = "text"
	case !ok && t.Kind() == reflect.Bool:
		kind = "true or false"
	case !ok:
		kind = "integer"
	}
	if isList {
		return "array: " + kind
	}
	return kind
}

// kinds names the types that TOML does not have.
var kinds = map[reflect.Type]string{
	reflect.TypeFor[Template](): "text with substitutions",
	reflect.TypeFor[Size]():     "size",
	reflect.TypeFor[Free]():     "size or percentage",
	reflect.TypeFor[Mode]():     "text of octal digits",
	reflect.TypeFor[Flag]():     "name or number of a bit",
}
