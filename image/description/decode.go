package description

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// A decoder fills a description from the tables of a document, by its types. It visits every key of the description, absent
// ones too: they get the position of the table that lacks them, for later errors.
type decoder struct{ *reporter }

// keyOf returns a key with its position in the text, or that of the table around it if the key is absent.
func (d *decoder) keyOf(path string, around diag.Position, doc any, at *tomlpos.Node) diag.Key {
	k := diag.Key{Path: path, Position: around, Written: doc != nil}
	if line, col := at.Pos(); k.Written && line > 0 {
		k.Line, k.Col = line, col
	}
	return k
}

// table fills a struct from a TOML table, nil if it is absent. Keys match exactly: the library would also accept other cases.
func (d *decoder) table(k diag.Key, table map[string]any, at *tomlpos.Node, into reflect.Value) {
	if own := into.FieldByName("Key"); own.IsValid() {
		own.Set(reflect.ValueOf(k))
	}
	fields := tables[into.Type()]
	d.unknownKeys(k, table, at, fields)
	for i := range fields {
		f := &fields[i]
		doc := table[f.name]
		below := d.keyOf(tomlpos.Join(k.Path, f.name), k.Position, doc, at.Key(f.name))
		if doc == nil && f.required && table != nil {
			d.missing(f, below, into.Field(f.index).Type())
		}
		d.value(f, below, doc, at.Key(f.name), into.Field(f.index).Addr().Interface())
	}
}

// value fills a Value, a List or a table from the document's value, nil if the key is absent.
func (d *decoder) value(f *field, k diag.Key, doc any, at *tomlpos.Node, into any) {
	if h, ok := into.(holder); ok {
		h.fill(d, f, k, doc, at)
		return
	}
	table, ok := doc.(map[string]any)
	if !ok && doc != nil {
		d.wrongType(f, k, doc, into)
	}
	d.table(k, table, at, reflect.ValueOf(into).Elem())
}

// missing reports a required key that is absent.
func (d *decoder) missing(f *field, k diag.Key, t reflect.Type) {
	hint := ""
	if of, list := elementType(t); list && isTable(of) {
		hint = "add [[" + f.path + "]]"
	}
	d.report(k, "is required", hint)
}

// unknownKeys reports keys that the language does not have. If such a key is probably a misspelled required one, that one is
// not also reported as missing.
func (d *decoder) unknownKeys(k diag.Key, table map[string]any, at *tomlpos.Node, fields []field) {
	known := names(fields)
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if _, ok := slices.BinarySearch(known, name); ok {
			continue
		}
		near, hint := "", ""
		if !d.full() {
			near = nearest(name, known)
			hint = unknownHint(k, name, near, known)
		}
		d.report(d.keyOf(tomlpos.Join(k.Path, name), k.Position, table, at.Key(name)), "unknown key", hint)
		if near != "" && table[near] == nil {
			d.reported[tomlpos.Join(k.Path, near)] = true // do not report it as missing too
		}
	}
}

// unknownHint suggests the key that was probably meant. near is the most similar known key, or "".
func unknownHint(table diag.Key, name, near string, known []string) string {
	elsewhere := tablesWith(name)
	switch {
	case strings.EqualFold(near, name):
		return fmt.Sprintf("write %q: keys are in lower case", near)
	case near != "":
		return fmt.Sprintf("did you mean %q?", near)
	case len(elsewhere) > 0:
		return "it is a key of " + strings.Join(elsewhere, ", ")
	case table.Path != "" && language[name].doc != "":
		return "it belongs at the top, before the first [table]"
	}
	return "known keys: " + strings.Join(known, ", ")
}

// bounded reports an array with too many elements, and returns those within the bound.
func (d *decoder) bounded(f *field, k diag.Key, elements []any) []any {
	if n := len(elements); f.most > 0 && int64(n) > f.most {
		d.report(k, fmt.Sprintf("has %d elements, more than %d", n, f.most), "")
		return elements[:f.most]
	}
	return elements
}

// scalar fills a value that is neither an array nor a table.
func (d *decoder) scalar(f *field, k diag.Key, doc, into any) {
	text, isText := doc.(string)
	truth, isBool := doc.(bool)
	number, isInt := doc.(int64)
	ok := true
	switch into := into.(type) {
	case scalar:
		if err := into.parse(doc); err != nil {
			d.reportError(k, err)
		}
	case *string:
		if *into, ok = text, isText; ok {
			d.text(f, k, text)
		}
	case *Template:
		*into, ok = Template(text), isText
	case *bool:
		*into, ok = truth, isBool
	case *int64:
		if ok = isInt; ok && d.isInRange(f, k, number) {
			*into = number
		}
	case *uint32:
		if ok = isInt; ok && d.isInRange(f, k, number) {
			*into = uint32(number)
		}
	}
	if !ok {
		d.wrongType(f, k, doc, into)
	}
}

// isInRange reports whether the key takes an integer, and if not adds a problem.
func (d *decoder) isInRange(f *field, k diag.Key, n int64) bool {
	switch {
	case f.numbers != nil && !slices.Contains(f.numbers, n):
		d.report(k, fmt.Sprintf("%d is not one of %v", n, f.numbers), "")
	case f.most > 0 && (n < 0 || n > f.most):
		d.report(k, fmt.Sprintf("%d is not between 0 and %d", n, f.most), "")
	default:
		return true
	}
	return false
}

// text checks what holds for every text: it is not empty, has no control characters, and is one of the words if the key has
// words.
func (d *decoder) text(f *field, k diag.Key, text string) {
	switch {
	case text == "":
		d.report(k, "is empty", "")
	case strings.ContainsFunc(text, unicode.IsControl):
		d.report(k, fmt.Sprintf("%q contains a control character", text), "")
	case strings.Contains(text, "${"):
		d.report(k, "substitutions are not valid here", "they are valid in "+strings.Join(templates(), ", "))
	case len(f.words) == 0 || slices.Contains(f.words, text):
	case slices.Contains(f.later, text):
		d.report(k, fmt.Sprintf("%q is not supported yet", text), "supported: "+strings.Join(f.words, ", "))
	case f.aliases[text] != "":
		d.report(k, fmt.Sprintf("%q is unknown", text), fmt.Sprintf("write %q", f.aliases[text]))
	default:
		d.report(k, fmt.Sprintf("%q is unknown", text), meant(text, f.words))
	}
}

// wrongType reports a value of the wrong type.
func (d *decoder) wrongType(f *field, k diag.Key, doc, into any) {
	of, list := elementType(reflect.TypeOf(into).Elem())
	d.report(k, fmt.Sprintf("must be %s, not %s", typeInWords(of, list), kindOf(doc)), typeHint(f.path, doc, of, list))
}

// typeInWords returns the type of a key in words, for "must be …".
func typeInWords(of reflect.Type, list bool) string {
	switch {
	case list && isTable(of):
		return "an array of tables"
	case list && of.Kind() == reflect.String:
		return "an array of texts"
	case list:
		return "an array"
	case isTable(of):
		return "a table"
	case of.Kind() == reflect.String:
		return "text"
	case of.Kind() == reflect.Bool:
		return "true or false"
	}
	return "an integer"
}

// typeHint shows how to write a value of the right type, or returns "".
func typeHint(path string, doc any, of reflect.Type, list bool) string {
	text, isText := doc.(string)
	_, isTables := doc.([]map[string]any)
	switch kind := of.Kind(); {
	case list && isTable(of):
		return "write [[" + path + "]]"
	case list && isText:
		return fmt.Sprintf("write [%q]", text)
	case list:
		return ""
	case isTable(of) && isTables:
		return "write [" + path + "]"
	case kind == reflect.String && !isCompound(doc):
		return "put it in quotation marks"
	case kind == reflect.Bool && (text == "true" || text == "false"), kind != reflect.String && kind != reflect.Bool && isInteger(text):
		return "remove the quotation marks"
	}
	return ""
}

// isCompound reports whether a TOML value is an array or a table.
func isCompound(doc any) bool {
	kind := reflect.TypeOf(doc).Kind()
	return kind == reflect.Slice || kind == reflect.Map
}

func isInteger(text string) bool {
	_, err := strconv.ParseInt(text, 0, 64)
	return err == nil
}
