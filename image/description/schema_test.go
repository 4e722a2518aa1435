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

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"imprint/image/description/language"
	"imprint/image/description/starting"
	"imprint/internal/keyed"
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
	for _, f := range tables.All() {
		known[f.Path] = true
		if !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s is explained as %q", f.Path, f.Doc)
		}
	}
	for key := range language.Keys() {
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
			var tables map[string]any
			if err := toml.Unmarshal([]byte(d.text), &tables); err != nil {
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

// Defaults and examples are values that their keys take. Keys without words, patterns or bounds have an example or a default.
func TestDefaultsAndExamples(t *testing.T) {
	eachKey(reflect.TypeFor[Image](), func(f keyed.Field, typ reflect.Type) {
		values := f.Examples
		if f.Default != nil {
			values = append(values[:len(values):len(values)], f.Default)
		}
		if len(values) == 0 && !f.IsTable() && f.Words == nil && f.Type.Kind() != reflect.Bool {
			t.Errorf("%s has neither a default nor an example", f.Path)
		}
		for _, v := range values {
			if refusal := refuse(plain(t, fieldSchema(f)).(object), plain(t, v), f.Path); refusal != "" {
				t.Error(refusal)
			}
			if _, err := decodeAlone(t, f, typ, v); err != nil {
				t.Errorf("%v: %v", v, err)
			}
			if _, ok := v.([]any); ok != f.List {
				t.Errorf("%s: %v is an array, or should be one", f.Path, v)
			}
		}
	})
}

// eachKey calls back for every key of a table and of those in it, with the type of the struct's field.
func eachKey(table reflect.Type, f func(keyed.Field, reflect.Type)) {
	for _, key := range tables.Of(table) {
		f(key, table.Field(key.Index).Type)
		if key.IsTable() {
			eachKey(key.Type, f)
		}
	}
}

// decodeAlone gives the Value or List that a key has in a document with only that key.
func decodeAlone(t *testing.T, f keyed.Field, typ reflect.Type, v any) (reflect.Value, error) {
	t.Helper()
	text, err := json.Marshal(v) // texts, integers and arrays of them have the same form in TOML
	if table, ok := v.(map[string]any); ok {
		var pairs []string
		for name, value := range table {
			pairs = append(pairs, fmt.Sprintf("%s = %q", name, value))
		}
		text = []byte("{ " + strings.Join(pairs, ", ") + " }")
	}
	if err != nil {
		t.Fatal(err)
	}
	document := reflect.StructOf([]reflect.StructField{{Name: "Only", Type: typ, Tag: reflect.StructTag(`toml:"` + f.Name + `"`)}})
	into, r := reflect.New(document), keyed.NewReporter("x.toml")
	keyed.NewTables(document, map[string]keyed.Rule{f.Name: f.Rule}).Decode(r, []byte(f.Name+" = "+string(text)), into.Interface(), withoutSubstitutions)
	return into.Elem().Field(0), r.Err()
}

// The defaults of the schema are those that WithDefaults fills in: writing them changes nothing.
func TestDefaultsAreThose(t *testing.T) {
	const plain = "name = \"web\"\n[[source]]\nregistration = \"r\"\n[boot]\n[[partition]]\nname = \"a\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	d, err := Parse("plain.toml", []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	full := reflect.ValueOf(*d.WithDefaults())
	for key, rule := range language.Keys() {
		want, v := rule.Default, full
		if want == nil {
			continue
		}
		var f keyed.Field
		for _, name := range strings.Split(key, ".") {
			if items := v.FieldByName("Items"); items.IsValid() {
				if items.Len() == 0 {
					v = reflect.Value{} // filled in by the next stage, which a script tests
					break
				}
				v = items.Index(0)
			}
			fields := tables.Of(v.Type())
			f = fields[slices.IndexFunc(fields, func(f keyed.Field) bool { return f.Name == name })]
			v = v.Field(f.Index)
		}
		if !v.IsValid() {
			continue
		}
		got, err := decodeAlone(t, f, v.Type(), want)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(got.FieldByName("V").Interface(), v.FieldByName("V").Interface()); diff != "" {
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
	for _, name := range append(examples, "starting/init.toml", "starting/init-nixos.toml", "starting/init-guix.toml", "starting/init-iso.toml", "starting/init-tree.toml", "testdata/every-key.toml") {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(name, src); err != nil {
			t.Error(err)
		}
		var tables map[string]any
		if err := toml.Unmarshal(src, &tables); err != nil {
			t.Fatal(err)
		}
		if refusal := refuse(schema, plain(t, tables), ""); refusal != "" {
			t.Errorf("%s: the schema refuses it: %s", name, refusal)
		}
		if !bytes.HasPrefix(src, []byte("#:schema ./imprint.schema.json\n")) && !strings.HasPrefix(name, "testdata/") {
			t.Errorf("%s does not name its schema in the first line", name)
		}
	}
	if src, _ := os.ReadFile("starting/init.toml"); string(src) != starting.Description("") {
		t.Error("the starting description is not init.toml")
	}
}

// Every line of the starting description that is commented out is right once the comment is taken away.
func TestStartingDescriptionUncommented(t *testing.T) {
	line := regexp.MustCompile(`(?m)^( *)# ([a-z-]+ *= .*|\[\[.*\]\])$`)
	src := line.ReplaceAllString(starting.Description(""), "$1$2")
	src = strings.Replace(src, "unique = true", "# unique = true", 1) // excludes seed
	if n := strings.Count(src, "\n") - strings.Count(starting.Description(""), "\n"); n != 0 || src == starting.Description("") {
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
		if below, ok := want.(object); ok {
			return !slices.ContainsFunc(slices.Collect(maps.Values(table)), func(v any) bool { return refuse(below, v, "") != "" })
		}
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
