package description

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"imprint/image/description/language"
	"imprint/internal/keyed"
	"imprint/partition"
)

//go:generate go test -run TestSchemaIsCommitted -update .

// An object is a JSON object.
type object = map[string]any

// SchemaTitle is the title of the JSON Schema. It is the same in all versions, which `imprint init` relies on to replace an
// old one.
const SchemaTitle = "imprint image description"

// Schema returns the JSON Schema (draft 2020-12) of the language, for editors. It describes every key and its values. What
// depends on several keys only Parse checks; the schema accepts whatever Parse accepts.
func Schema() []byte {
	s := tableSchema(reflect.TypeFor[Image]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = SchemaTitle
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // only strings, numbers and lists of them
	}
	return out.Bytes()
}

// tableSchema returns the schema of a table. Other keys are not allowed in it, as in [Parse].
func tableSchema(table reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range tables.Of(table) {
		properties[f.Name] = fieldSchema(f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	slices.Sort(required)
	s := object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	if table == reflect.TypeFor[Entry]() {
		s["anyOf"] = []object{{"required": []string{"kernel", "title"}}, {"required": []string{"system"}}}
	}
	return s
}

// fieldSchema returns the schema of a key that holds a Value, a List or a table.
func fieldSchema(f keyed.Field) object {
	s := valueSchema(f)
	if f.List {
		s = object{"type": "array", "items": s}
		if f.Required {
			s["minItems"] = 1
		}
		if f.Most > 0 {
			s["maxItems"] = f.Most
		}
	}
	s["description"] = f.Doc
	if f.Default != nil {
		s["default"] = f.Default
	}
	if f.Examples != nil {
		s["examples"] = f.Examples
	}
	return s
}

// valueSchema returns the schema of a single value. Types of our own have several forms in TOML, all of which the schema
// lists.
func valueSchema(f keyed.Field) object {
	switch f.Type {
	case reflect.TypeFor[Template](), reflect.TypeFor[Argument]():
		return object{"type": "string"}
	case reflect.TypeFor[Size]():
		if f.Path == "partition.size" {
			return object{"anyOf": append(sizeSchema(), object{"const": "auto"})}
		}
		return object{"anyOf": sizeSchema()}
	case reflect.TypeFor[Free]():
		return object{"anyOf": append(sizeSchema(), object{"type": "string", "pattern": "^[0-9]+%$"})}
	case reflect.TypeFor[Variables]():
		return object{"type": "object", "additionalProperties": object{"type": "string"}}
	case reflect.TypeFor[Mode]():
		return object{"type": "string", "pattern": "^[0-7]{3,4}$"}
	case reflect.TypeFor[Flag]():
		return object{"anyOf": []object{{"enum": FlagNames()}, {"type": "integer", "minimum": 0, "maximum": 2}, {"type": "integer", "minimum": 48, "maximum": 63}}}
	}
	switch f.Type.Kind() {
	case reflect.Struct:
		return tableSchema(f.Type)
	case reflect.String:
		return textSchema(f)
	case reflect.Bool:
		return object{"type": "boolean"}
	}
	return integerSchema(f)
}

// sizeSchema returns the two forms of a size.
func sizeSchema() []object {
	return []object{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|TiB)$"}}
}

// textSchema returns the schema of a text. Partition types are special: a name, a GUID or a number.
func textSchema(f keyed.Field) object {
	if f.Path == "partition.type" {
		return object{"anyOf": []object{{"enum": partition.TypeNames()}, {"type": "string", "pattern": partition.UUIDForm + "|" + language.MBRTypeForm}}}
	}
	s := object{"type": "string", "minLength": 1}
	if f.Words != nil {
		s["enum"] = f.Words
	}
	if f.Pattern != "" {
		s["pattern"] = f.Pattern
	}
	return s
}

// integerSchema returns the schema of an integer, with its bounds.
func integerSchema(f keyed.Field) object {
	s := object{"type": "integer"}
	if f.Numbers != nil {
		s["enum"] = f.Numbers
	}
	if f.Most > 0 {
		s["minimum"], s["maximum"] = 0, f.Most
	}
	return s
}
