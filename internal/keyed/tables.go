package keyed

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"imprint/internal/tomlpos"
)

// A Rule describes a key of a language, apart from its type.
type Rule struct {
	Doc      string
	Required bool
	Words    []string          // the only values it takes
	Later    []string          // values that other tools have, not supported yet
	Aliases  map[string]string // names of these words in other tools
	Hints    map[string]string // for values that belong to another key: what to write instead
	Numbers  []int64           // the only integers it takes
	Most     int64             // the largest integer (the least is 0), or number of elements of an array; 0 for any
	Pattern  string            // of its text, for editors; decoding does not check it
	Default  any               // nil if there is none, or it depends on other keys
	Examples []any             // TOML values
}

// A Field is a key of a table, and the field of the struct that holds it.
type Field struct {
	Rule
	Name  string
	Path  string       // in the language: without indices
	Index int          // of the field in the struct
	Type  reflect.Type // of the value, of an element of the list, or of the table
	List  bool         // whether it is an array
}

// IsTable reports whether the key is a table, or an array of tables.
func (f Field) IsTable() bool { return isTable(f.Type) }

// Tables are the tables of a language. Reflection over types happens once, when they are made.
type Tables struct {
	rules  map[string]Rule
	fields map[reflect.Type][]Field // in the order of the struct
}

// NewTables reads the tags of the struct for a document, and of the tables in it. rules are by path, without indices.
func NewTables(document reflect.Type, rules map[string]Rule) *Tables {
	t := &Tables{rules: rules, fields: map[reflect.Type][]Field{}}
	t.add("", document)
	return t
}

// Of returns the keys of a table by the type of its struct, in the order of the struct.
func (t *Tables) Of(table reflect.Type) []Field { return t.fields[table] }

// All returns the keys of all tables, sorted by path.
func (t *Tables) All() []Field {
	all := slices.Concat(slices.Collect(maps.Values(t.fields))...)
	slices.SortFunc(all, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// add reads the tags of a struct, and of the tables in it.
func (t *Tables) add(path string, table reflect.Type) {
	for i := range table.NumField() {
		name, ok := table.Field(i).Tag.Lookup("toml")
		if !ok {
			continue
		}
		below := tomlpos.Join(path, name)
		of, list := elementType(table.Field(i).Type)
		t.fields[table] = append(t.fields[table], Field{t.rules[below], name, below, i, of, list})
		if isTable(of) {
			t.add(below, of)
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

// isTable reports whether a type of the language is a table: a struct with a Key. Values and scalars are not.
func isTable(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[holder]()) {
		return false
	}
	_, ok := t.FieldByName("Key")
	return ok
}

// names returns the names of the keys of a table, sorted.
func names(fields []Field) []string {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// with returns the tables that have a key of that name, for the hint about a key in the wrong table.
func (t *Tables) with(name string) []string {
	var tables []string
	for _, key := range slices.Sorted(maps.Keys(t.rules)) {
		if table, found := strings.CutSuffix(key, "."+name); found {
			tables = append(tables, "["+table+"]")
		}
	}
	return tables
}
