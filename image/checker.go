package image

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"imprint/internal/diag"
)

// A checker collects the mistakes in a description.
type checker struct {
	d        *Description
	problems diag.List
	told     map[string]bool // keys with a mistake, of which more would only be noise
	fields   map[reflect.Type]map[string]int
}

// report notes a mistake at a key, unless there is one already.
func (c *checker) report(key, text, hint string) {
	if !c.told[key] {
		c.told[key] = true
		c.problems = append(c.problems, c.d.Problem(key, text, hint))
	}
}

// reportError is report for an error that may know a hint.
func (c *checker) reportError(key string, err error) {
	var m mistake
	errors.As(err, &m)
	c.report(key, err.Error(), m.hint)
}

// table fills a struct from a TOML table: every key is known by exactly its name, or a mistake.
func (c *checker) table(path string, table map[string]any, into reflect.Value) {
	fields := c.keysOf(into.Type())
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key := join(path, name)
		if i, ok := fields[name]; ok {
			c.value(key, table[name], into.Field(i))
			continue
		}
		c.unknown(path, name, fields)
	}
	for name, i := range fields {
		key := join(path, name)
		if _, there := table[name]; there || !language[withoutIndices(key)].required {
			continue
		}
		hint := ""
		if t := into.Type().Field(i).Type; t.Kind() == reflect.Slice && isTable(t.Elem()) {
			hint = "add [[" + key + "]]"
		}
		c.report(key, "is required", hint)
	}
}

func (c *checker) keysOf(table reflect.Type) map[string]int {
	if c.fields == nil {
		c.fields = map[reflect.Type]map[string]int{}
	}
	if c.fields[table] == nil {
		c.fields[table] = keysOf(table)
	}
	return c.fields[table]
}

// unknown reports a key that the language does not have.
func (c *checker) unknown(path, name string, fields map[string]int) {
	key := join(path, name)
	known := slices.Sorted(maps.Keys(fields))
	near := diag.Nearest(name, known)
	hint := "known keys: " + strings.Join(known, ", ")
	switch elsewhere := tablesWith(name); {
	case strings.EqualFold(near, name):
		hint = fmt.Sprintf("write %q: keys are in lower case", near)
	case near == "" && len(elsewhere) > 0:
		hint = "it is a key of " + strings.Join(elsewhere, ", ")
	case near == "" && path != "" && c.isTopKey(name):
		hint = "it belongs at the top, before the first [table]"
	case near != "":
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.report(key, "unknown key", hint)
	if near != "" && !c.d.has(join(path, near)) {
		c.told[join(path, near)] = true // it is not missing as well
	}
}

func (c *checker) isTopKey(name string) bool {
	_, ok := c.keysOf(reflect.TypeFor[Description]())[name]
	return ok
}
