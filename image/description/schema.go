package description

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"imprint/partition"
)

//go:generate go test -run TestSchemaIsCommitted -update .

//go:embed init.toml
var starting string

// Starting returns a description with comments to begin with: one that boots a closure from an ESP and a root partition.
func Starting() string { return starting }

// An object is a JSON object.
type object = map[string]any

// Schema returns the JSON Schema (draft 2020-12) of the language, for editors: every key with what it means and which values it takes. What
// a schema cannot say, such as which keys exclude each other, only Parse knows; whatever Parse accepts, the schema accepts too.
func Schema() []byte {
	s := tableSchema(reflect.TypeFor[Image]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "imprint image description"
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // the values are ours
	}
	return out.Bytes()
}

func tableSchema(table reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range tables[table] {
		properties[f.name] = fieldSchema(f, table.Field(f.index).Type)
		if f.required {
			required = append(required, f.name)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// fieldSchema is the schema of a key that a Value, a List or a table holds.
func fieldSchema(f field, t reflect.Type) object {
	of, list := elementType(t)
	s := valueSchema(f, of)
	if list {
		s = object{"type": "array", "items": s}
		if f.required {
			s["minItems"] = 1
		}
		if f.most > 0 {
			s["maxItems"] = f.most
		}
	}
	s["description"] = f.doc
	return s
}

func valueSchema(f field, t reflect.Type) object {
	switch t {
	case reflect.TypeFor[Template]():
		return object{"type": "string"}
	case reflect.TypeFor[Size]():
		if f.path == "partition.size" {
			return object{"anyOf": append(sizeSchema(), object{"const": "auto"})}
		}
		return object{"anyOf": sizeSchema()}
	case reflect.TypeFor[Free]():
		return object{"anyOf": append(sizeSchema(), object{"type": "string", "pattern": "^[0-9]+%$"})}
	case reflect.TypeFor[Mode]():
		return object{"type": "string", "pattern": "^[0-7]{3,4}$"}
	case reflect.TypeFor[Flag]():
		names := slices.Sorted(maps.Keys(flagBits))
		return object{"anyOf": []object{{"enum": names}, {"type": "integer", "minimum": 0, "maximum": 2}, {"type": "integer", "minimum": 48, "maximum": 63}}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return tableSchema(t)
	case reflect.String:
		return textSchema(f)
	case reflect.Bool:
		return object{"type": "boolean"}
	}
	return integerSchema(f)
}

// sizeSchema are the forms of a size in bytes.
func sizeSchema() []object {
	return []object{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|TiB)$"}}
}

func textSchema(f field) object {
	if f.path == "partition.type" {
		return object{"anyOf": []object{{"enum": partition.TypeNames()}, {"type": "string", "pattern": partition.UUIDForm + "|" + mbrTypeForm}}}
	}
	s := object{"type": "string", "minLength": 1}
	if f.words != nil {
		s["enum"] = f.words
	}
	if f.pattern != "" {
		s["pattern"] = f.pattern
	}
	return s
}

func integerSchema(f field) object {
	s := object{"type": "integer"}
	if f.numbers != nil {
		s["enum"] = f.numbers
	}
	if f.most > 0 {
		s["minimum"], s["maximum"] = 0, f.most
	}
	return s
}
