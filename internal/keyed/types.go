package keyed

import (
	"fmt"
	"reflect"
	"strconv"

	"imprint/internal/diag"
)

// wrongType reports a value of the wrong type.
func (d *decoder) wrongType(f *Field, k diag.Key, doc, into any) {
	of, list := elementType(reflect.TypeOf(into).Elem())
	d.Report(k, fmt.Sprintf("must be %s, not %s", typeInWords(of, list), KindOf(doc)), typeHint(f.Path, doc, of, list))
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

// KindOf returns the type of a TOML value in words, for "must be …, not …".
func KindOf(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "an integer"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case map[string]any:
		return "a table"
	case []any:
		return "an array"
	case []map[string]any:
		return "an array of tables"
	}
	return "a date or time"
}
