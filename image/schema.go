package image

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"imprint/partition"
)

//go:generate go test -run TestSchemaIsCommitted -update .

// An object is a JSON object.
type object = map[string]any

// Schema gives the JSON Schema (draft 2020-12) of the language, for editors: every key with what it means and which values it takes. What
// a schema cannot say, such as which keys exclude each other, only Parse knows; whatever Parse accepts, the schema accepts too.
func Schema() []byte {
	s := schemaOf("", reflect.TypeFor[Description]())
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

// schemaOf is the schema of a key of that type.
func schemaOf(key string, t reflect.Type) object {
	s := typeSchema(key, t)
	if doc := language[key].doc; doc != "" {
		s["description"] = doc
	}
	return s
}

func typeSchema(key string, t reflect.Type) object {
	switch t {
	case reflect.TypeFor[Size](), reflect.TypeFor[Free](), reflect.TypeFor[Mode](), reflect.TypeFor[Flag]():
		return scalarSchema(key, t)
	case reflect.TypeFor[Template]():
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(key, t.Elem())
	case reflect.Struct:
		return tableSchema(key, t)
	case reflect.Slice:
		return arraySchema(key, t)
	case reflect.String:
		return textSchema(key)
	case reflect.Bool:
		return object{"type": "boolean"}
	}
	return integerSchema(key)
}

func tableSchema(key string, t reflect.Type) object {
	properties, required := object{}, []string{}
	for name, field := range keysOf(t) {
		below := join(key, name)
		properties[name] = schemaOf(below, t.Field(field).Type)
		if language[below].required {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func arraySchema(key string, t reflect.Type) object {
	items := typeSchema(key, t.Elem())
	s := object{"type": "array", "items": items}
	if language[key].required {
		s["minItems"] = 1
	}
	return s
}

func textSchema(key string) object {
	k := language[key]
	s := object{"type": "string", "minLength": 1}
	if key == "partition.type" {
		return object{"anyOf": []object{{"enum": partition.TypeNames()}, {"type": "string", "pattern": uuidForm + "|" + mbrTypeForm}}}
	}
	if k.words != nil {
		s["enum"] = k.words
	}
	if k.pattern != "" {
		s["pattern"] = k.pattern
	}
	return s
}

func integerSchema(key string) object {
	k := language[key]
	s := object{"type": "integer"}
	if k.numbers != nil {
		s["enum"] = k.numbers
	}
	if k.most > 0 {
		s["minimum"], s["maximum"] = 0, k.most
	}
	return s
}

// scalarSchema is the schema of a type that reads itself.
func scalarSchema(key string, t reflect.Type) object {
	size := []object{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|TiB)$"}}
	switch t {
	case reflect.TypeFor[Mode]():
		return object{"type": "string", "pattern": "^[0-7]{3,4}$"}
	case reflect.TypeFor[Flag]():
		names := slices.Sorted(maps.Keys(flagBits))
		return object{"anyOf": []object{{"enum": names}, {"type": "integer", "minimum": 0, "maximum": 2}, {"type": "integer", "minimum": 48, "maximum": 63}}}
	case reflect.TypeFor[Free]():
		return object{"anyOf": append(size, object{"type": "string", "pattern": "^[0-9]+%$"})}
	}
	if key == "partition.size" {
		size = append(size, object{"const": "auto"})
	}
	return object{"anyOf": size}
}
