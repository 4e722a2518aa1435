package image

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// value fills a field from a TOML value.
func (c *checker) value(key string, v any, into reflect.Value) {
	if scalar, ok := into.Addr().Interface().(toml.Unmarshaler); ok {
		if err := scalar.UnmarshalTOML(v); err != nil {
			c.reportError(key, err)
		}
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		c.value(key, v, into.Elem())
	case reflect.Struct:
		table, ok := v.(map[string]any)
		if !ok {
			c.wrongType(key, v, into.Type())
			return
		}
		c.table(key, table, into)
	case reflect.Slice:
		c.array(key, v, into)
	default:
		c.scalar(key, v, into)
	}
}

// array fills a slice from either form of a TOML array, and so tells an array of tables that was not meant to be one.
func (c *checker) array(key string, v any, into reflect.Value) {
	var element func(i int) any
	n := 0
	switch list := v.(type) {
	case []any:
		n, element = len(list), func(i int) any { return list[i] }
	case []map[string]any:
		n, element = len(list), func(i int) any { return list[i] }
	default:
		c.wrongType(key, v, into.Type())
	}
	into.Set(reflect.MakeSlice(into.Type(), n, n))
	for i := range n {
		c.value(key+"["+strconv.Itoa(i)+"]", element(i), into.Index(i))
	}
}

// scalar fills a text, an integer or a boolean.
func (c *checker) scalar(key string, v any, into reflect.Value) {
	switch v := v.(type) {
	case string:
		if into.Kind() == reflect.String {
			into.SetString(v)
			c.text(key, v, into.Type())
			return
		}
	case bool:
		if into.Kind() == reflect.Bool {
			into.SetBool(v)
			return
		}
	case int64:
		if into.CanInt() || into.CanUint() {
			c.integer(key, v, into)
			return
		}
	}
	c.wrongType(key, v, into.Type())
}

func (c *checker) integer(key string, v int64, into reflect.Value) {
	k := language[withoutIndices(key)]
	switch {
	case k.numbers != nil && !slices.Contains(k.numbers, v):
		c.report(key, fmt.Sprintf("%d is not one of %v", v, k.numbers), "")
	case k.most > 0 && (v < 0 || v > k.most):
		c.report(key, fmt.Sprintf("%d is not between 0 and %d", v, k.most), "")
	case into.CanInt():
		into.SetInt(v)
	default:
		into.SetUint(uint64(v))
	}
}

// text checks what is the same for every text: the words that it may be, and that it is not empty or unfit to be shown.
func (c *checker) text(key, text string, kind reflect.Type) {
	words := language[withoutIndices(key)]
	template := kind == reflect.TypeFor[Template]()
	switch {
	case template:
	case text == "":
		c.report(key, "is empty", "")
	case strings.ContainsFunc(text, unicode.IsControl):
		c.report(key, fmt.Sprintf("%q has a control character in it", text), "")
	case strings.Contains(text, "${"):
		c.report(key, "substitutions are not valid here", "they are in cmdline, kernel, initrd, text and target")
	case len(words.words) == 0 || slices.Contains(words.words, text):
	case slices.Contains(words.later, text):
		c.report(key, fmt.Sprintf("%q is not supported yet", text), "supported: "+strings.Join(words.words, ", "))
	case words.aliases[text] != "":
		c.report(key, fmt.Sprintf("%q is unknown", text), fmt.Sprintf("write %q", words.aliases[text]))
	default:
		c.report(key, fmt.Sprintf("%q is unknown", text), meant(text, words.words))
	}
}

// wrongType reports a value of another type than its key has.
func (c *checker) wrongType(key string, v any, want reflect.Type) {
	c.report(key, fmt.Sprintf("must be %s, not %s", typeInWords(want), kindOf(v)), typeHint(withoutIndices(key), v, want))
}

func typeInWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		return "a table"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return "an array of texts"
		}
		if isTable(t.Elem()) {
			return "an array of tables"
		}
		return "an array"
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	}
	return "an integer"
}

// isTable tells whether a type of the description is a table, and not one value that reads itself.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[toml.Unmarshaler]())
}

// typeHint says how to write a value of the type that the key has; "" when nothing better comes to mind than the type's name.
func typeHint(key string, v any, want reflect.Type) string {
	text, isText := v.(string)
	_, isArray := v.([]any)
	_, isTableValue := v.(map[string]any)
	_, isTables := v.([]map[string]any)
	switch {
	case want.Kind() == reflect.Slice && isTable(want.Elem()):
		return "write [[" + key + "]]"
	case want.Kind() == reflect.Struct && isTables:
		return "write [" + key + "]"
	case want.Kind() == reflect.Slice && isText:
		return fmt.Sprintf("write [%q]", text)
	case want.Kind() == reflect.String && !isArray && !isTables && !isTableValue:
		return "put it in quotation marks"
	case want.Kind() == reflect.Bool && (text == "true" || text == "false"), want.Kind() == reflect.Int64 && isInteger(text):
		return "leave out the quotation marks"
	}
	return ""
}

func isInteger(text string) bool {
	_, err := strconv.ParseInt(text, 0, 64)
	return err == nil
}
