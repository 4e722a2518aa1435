package description

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

const committedSchema = "../../configs/imprint.schema.json"

func TestSchemaIsCommitted(t *testing.T) {
	if *update {
		if err := os.WriteFile(committedSchema, Schema(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(committedSchema)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), string(Schema())); diff != "" {
		t.Errorf("run go generate ./image/description (-committed +current):\n%s", diff)
	}
}

// The table of the language and the types of the description name the same keys, and each is explained.
func TestLanguageIsComplete(t *testing.T) {
	known := map[string]bool{}
	for _, fields := range tables {
		for _, f := range fields {
			known[f.path] = true
			if !strings.HasSuffix(f.doc, ".") {
				t.Errorf("%s is explained as %q", f.path, f.doc)
			}
		}
	}
	for key := range language {
		if !known[key] {
			t.Errorf("%s is explained and no key", key)
		}
	}
}

// Whatever Parse accepts the schema accepts, and most of what it does not know or cannot read the schema refuses too.
func TestSchemaAgreesWithParse(t *testing.T) {
	var schema object
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	archives, _ := filepath.Glob("testdata/parse/*.txtar")
	for _, name := range archives {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range descriptions(string(src)) {
			tables, err := decodeTOML(d.text)
			if err != nil {
				continue
			}
			_, parseErr := Parse(d.name, []byte(d.text))
			refusal := refuse(schema, plain(t, tables), "")
			if parseErr == nil && refusal != "" {
				t.Errorf("%s: %s: only the schema refuses it: %s", name, d.name, refusal)
			}
			unreadable := strings.HasSuffix(name, "keys.txtar") || strings.HasSuffix(name, "types.txtar")
			if unreadable && refusal == "" {
				t.Errorf("%s: %s: the schema accepts it", name, d.name)
			}
		}
	}
}

// Defaults and examples are values that their keys take, and belong to keys. Keys without words, patterns or bounds have an example or a default.
func TestDefaultsAndExamples(t *testing.T) {
	known := map[string]bool{}
	for table, fields := range tables {
		for _, f := range fields {
			known[f.path] = true
			values := f.examples
			if f.def != nil {
				values = append(values[:len(values):len(values)], f.def)
			}
			typ := table.Field(f.index).Type
			of, isList := elementType(typ)
			if len(values) == 0 && !isTable(of) && f.words == nil && of.Kind() != reflect.Bool {
				t.Errorf("%s has neither a default nor an example", f.path)
			}
			for _, v := range values {
				if refusal := refuse(plain(t, fieldSchema(f, typ)).(object), plain(t, v), f.path); refusal != "" {
					t.Error(refusal)
				}
				r := &reporter{reported: map[string]bool{}}
				(&decoder{r}).value(&f, diag.Key{Path: f.path, Written: true}, asTOML(v), nil, reflect.New(typ).Interface())
				if err := r.err(); err != nil {
					t.Errorf("%v: %v", v, err)
				}
				if _, ok := v.([]any); ok != isList {
					t.Errorf("%s: %v is an array, or should be one", f.path, v)
				}
			}
		}
	}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(defaults)), slices.Collect(maps.Keys(examples))) {
		if !known[key] {
			t.Errorf("%s is no key", key)
		}
	}
}

// asTOML is a value as the TOML library decodes it.
func asTOML(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case []any:
		elements := make([]any, len(v))
		for i := range v {
			elements[i] = asTOML(v[i])
		}
		return elements
	}
	return v
}

// The defaults of the schema are those that WithDefaults fills in: writing them changes nothing.
func TestDefaultsAreThose(t *testing.T) {
	const plain = "name = \"web\"\n[[source]]\nregistration = \"r\"\n[boot]\n[[partition]]\nname = \"a\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	d, err := Parse("plain.toml", []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	full := reflect.ValueOf(*d.WithDefaults())
	for key, want := range defaults {
		v := full
		var f field
		for _, name := range strings.Split(key, ".") {
			if items := v.FieldByName("Items"); items.IsValid() {
				if items.Len() == 0 {
					v = reflect.Value{} // filled in by the next stage, which a script tests
					break
				}
				v = items.Index(0)
			}
			fields := tables[v.Type()]
			f = fields[slices.IndexFunc(fields, func(f field) bool { return f.name == name })]
			v = v.Field(f.index)
		}
		if !v.IsValid() {
			continue
		}
		r, got := &reporter{reported: map[string]bool{}}, reflect.New(v.Type())
		(&decoder{r}).value(&f, diag.Key{Path: key, Written: true}, asTOML(want), nil, got.Interface())
		if diff := cmp.Diff(got.Elem().FieldByName("V").Interface(), v.FieldByName("V").Interface()); diff != "" {
			t.Errorf("%s (-schema +WithDefaults):\n%s", key, diff)
		}
	}
}

func TestExamples(t *testing.T) {
	var schema object
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	examples, _ := filepath.Glob("../../configs/*.toml")
	for _, name := range append(examples, "init.toml", "testdata/every-key.toml") {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(name, src); err != nil {
			t.Error(err)
		}
		tables, err := decodeTOML(string(src))
		if err != nil {
			t.Fatal(err)
		}
		if refusal := refuse(schema, plain(t, tables), ""); refusal != "" {
			t.Errorf("%s: the schema refuses it: %s", name, refusal)
		}
		if !bytes.HasPrefix(src, []byte("#:schema ./imprint.schema.json\n")) && !strings.HasPrefix(name, "testdata/") {
			t.Errorf("%s does not name its schema in the first line", name)
		}
	}
	if src, _ := os.ReadFile("init.toml"); string(src) != Starting() {
		t.Error("the starting description is not init.toml")
	}
}

// Every line of the starting description that is commented out is right once the comment is taken away.
func TestStartingDescriptionUncommented(t *testing.T) {
	line := regexp.MustCompile(`(?m)^( *)# ([a-z-]+ *= .*|\[\[.*\]\])$`)
	src := line.ReplaceAllString(Starting(), "$1$2")
	src = strings.Replace(src, "unique = true", "# unique = true", 1) // excludes seed
	if n := strings.Count(src, "\n") - strings.Count(Starting(), "\n"); n != 0 || src == Starting() {
		t.Fatal("nothing was commented out")
	}
	if _, err := Parse("init.toml", []byte(src)); err != nil {
		t.Errorf("%v\n%s", err, src)
	}
}

// plain is a TOML document as encoding/json sees it.
func plain(t *testing.T, tables any) any {
	text, err := json.Marshal(tables)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refuse checks a value against the part of JSON Schema that ours uses, and says where it does not fit; a keyword that it does not know
// is a refusal.
func refuse(schema object, v any, key string) string {
	for _, word := range slices.Sorted(keys(schema)) {
		if !fits(word, schema, v) {
			return fmt.Sprintf("%s: %v is not %s %v", key, v, word, schema[word])
		}
	}
	if items, ok := schema["items"].(object); ok {
		for i, element := range v.([]any) {
			if refusal := refuse(items, element, fmt.Sprintf("%s[%d]", key, i)); refusal != "" {
				return refusal
			}
		}
	}
	if properties, ok := schema["properties"].(object); ok {
		for name, below := range v.(object) {
			if refusal := refuse(properties[name].(object), below, tomlpos.Join(key, name)); refusal != "" {
				return refusal
			}
		}
	}
	return ""
}

func keys(o object) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range o {
			if !yield(k) {
				return
			}
		}
	}
}

func fits(word string, schema object, v any) bool {
	want := schema[word]
	number, isNumber := v.(float64)
	text, isText := v.(string)
	list, _ := v.([]any)
	table, _ := v.(object)
	switch word {
	case "$schema", "title", "description", "items", "properties", "default", "examples":
		return true
	case "type":
		return typeOfJSON(v) == want
	case "enum":
		return slices.Contains(want.([]any), v)
	case "const":
		return v == want
	case "pattern":
		return isText && regexp.MustCompile(want.(string)).MatchString(text)
	case "minLength":
		return isText && utf8.RuneCountInString(text) >= int(want.(float64))
	case "minimum":
		return isNumber && number >= want.(float64)
	case "maximum":
		return isNumber && number <= want.(float64)
	case "minItems":
		return len(list) >= int(want.(float64))
	case "maxItems":
		return len(list) <= int(want.(float64))
	case "anyOf":
		return slices.ContainsFunc(want.([]any), func(s any) bool { return refuse(s.(object), v, "") == "" })
	case "required":
		return !slices.ContainsFunc(want.([]any), func(name any) bool { return table[name.(string)] == nil })
	case "additionalProperties":
		known := schema["properties"].(object)
		return !slices.ContainsFunc(slices.Collect(keys(table)), func(name string) bool { return known[name] == nil })
	}
	return false
}

func typeOfJSON(v any) string {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case string:
		return "string"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case object:
		return "object"
	}
	return "null"
}
