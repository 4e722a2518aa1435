package keyed

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// Decode fills the struct that into points to from a document, and reports the problems of the document to r. into has the type
// that the tables were made of. check, which may be nil, is called with each text that is not of a type of its own and not empty, and the path of
// its key without indices.
// Decode returns false if src is not TOML; into is unchanged then.
func (t *Tables) Decode(r *Reporter, src []byte, into any, check func(path, text string) error) bool {
	doc, root, err := readTOML(src)
	if err != nil {
		r.syntax(err)
		return false
	}
	d := &decoder{Reporter: r, tables: t, check: check}
	d.table(r.top, doc, root, reflect.ValueOf(into).Elem())
	return true
}

// A decoder fills a struct from the tables of a document, by its types. It visits every key of the language, absent ones too:
// they get the position of the table that lacks them, for later errors.
type decoder struct {
	*Reporter
	tables *Tables
	check  func(path, text string) error // may be nil
}

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
	fields := d.tables.Of(into.Type())
	d.unknownKeys(k, table, at, fields)
	for i := range fields {
		f := &fields[i]
		doc := table[f.Name]
		below := d.keyOf(tomlpos.Join(k.Path, f.Name), k.Position, doc, at.Key(f.Name))
		if doc == nil && f.Required && table != nil {
			d.missing(f, below)
		}
		d.value(f, below, doc, at.Key(f.Name), into.Field(f.Index).Addr().Interface())
	}
}

// value fills a Value, a List or a table from the document's value, which is nil if the key is absent.
func (d *decoder) value(f *Field, k diag.Key, doc any, at *tomlpos.Node, into any) {
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
func (d *decoder) missing(f *Field, k diag.Key) {
	hint := ""
	if f.List && f.IsTable() {
		hint = "add [[" + f.Path + "]]"
	}
	d.Report(k, "is required", hint)
}

// unknownKeys reports keys that the language does not have. If such a key is probably a misspelled required one, that one is
// not also reported as missing.
func (d *decoder) unknownKeys(k diag.Key, table map[string]any, at *tomlpos.Node, fields []Field) {
	known := names(fields)
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if _, ok := slices.BinarySearch(known, name); ok {
			continue
		}
		near, hint := "", ""
		if !d.Full() {
			near = nearest(name, known)
			hint = d.tables.unknownHint(k, name, near, known)
		}
		d.Report(d.keyOf(tomlpos.Join(k.Path, name), k.Position, table, at.Key(name)), "unknown key", hint)
		if near != "" && table[near] == nil {
			d.reported[tomlpos.Join(k.Path, near)] = true // do not report it as missing too
		}
	}
}

// unknownHint suggests the key that was probably meant. near is the most similar known key, or "".
func (t *Tables) unknownHint(table diag.Key, name, near string, known []string) string {
	elsewhere := t.with(name)
	switch {
	case strings.EqualFold(near, name):
		return fmt.Sprintf("write %q: keys are in lower case", near)
	case near != "":
		return fmt.Sprintf("did you mean %q?", near)
	case len(elsewhere) > 0:
		return "it is a key of " + strings.Join(elsewhere, ", ")
	case table.Path != "" && t.rules[name].Doc != "":
		return "it belongs at the top, before the first [table]"
	}
	return "known keys: " + strings.Join(known, ", ")
}

// bounded reports an array with too many elements, and returns those within the bound.
func (d *decoder) bounded(f *Field, k diag.Key, elements []any) []any {
	if n := len(elements); f.Most > 0 && int64(n) > f.Most {
		d.Report(k, fmt.Sprintf("has %d elements, more than %d", n, f.Most), "")
		return elements[:f.Most]
	}
	return elements
}

// scalar fills a value that is neither an array nor a table.
func (d *decoder) scalar(f *Field, k diag.Key, doc, into any) {
	text, isText := doc.(string)
	truth, isBool := doc.(bool)
	number, isInt := doc.(int64)
	ok := true
	switch into := into.(type) {
	case Scalar:
		if err := into.ParseTOML(doc); err != nil {
			d.ReportError(k, err)
		}
	case *string:
		if *into, ok = text, isText; ok {
			d.text(f, k, text)
		}
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
	default: // a type of text; the language checks it
		if ok = isText; ok {
			reflect.ValueOf(into).Elem().SetString(text)
		}
	}
	if !ok {
		d.wrongType(f, k, doc, into)
	}
}

// isInRange reports whether the key takes an integer, and if not adds a problem.
func (d *decoder) isInRange(f *Field, k diag.Key, n int64) bool {
	switch {
	case f.Numbers != nil && !slices.Contains(f.Numbers, n):
		d.Report(k, fmt.Sprintf("%d is not one of %v", n, f.Numbers), "")
	case f.Most > 0 && (n < 0 || n > f.Most):
		d.Report(k, fmt.Sprintf("%d is not between 0 and %d", n, f.Most), "")
	default:
		return true
	}
	return false
}

// text applies the checks for every text: it must not be empty or have control characters, must pass the language's own check, and
// must be one of the words if the key has words.
func (d *decoder) text(f *Field, k diag.Key, text string) {
	switch err := d.checked(f.Path, text); {
	case text == "":
		d.Report(k, "is empty", "")
	case strings.ContainsFunc(text, unicode.IsControl):
		d.Report(k, fmt.Sprintf("%q contains a control character", text), "")
	case err != nil:
		d.ReportError(k, err)
	case len(f.Words) == 0 || slices.Contains(f.Words, text):
	case slices.Contains(f.Later, text):
		d.Report(k, fmt.Sprintf("%q is not supported yet", text), "supported: "+strings.Join(f.Words, ", "))
	case f.Hints[text] != "":
		d.Report(k, fmt.Sprintf("%q is not a value of this key", text), f.Hints[text])
	case f.Aliases[text] != "":
		d.Report(k, fmt.Sprintf("%q is unknown", text), fmt.Sprintf("write %q", f.Aliases[text]))
	default:
		d.Report(k, fmt.Sprintf("%q is unknown", text), Meant(text, f.Words))
	}
}

// checked returns the error of the language's own check of a text.
func (d *decoder) checked(path, text string) error {
	if d.check == nil {
		return nil
	}
	return d.check(path, text)
}
