package description

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/locator"
)

// Digest returns the hash that an input has; ok is false if the description does not say it.
func (in Input) Digest() (sum [32]byte, ok bool) {
	b, err := hex.DecodeString(strings.TrimPrefix(in.SHA256.V, "sha256:"))
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [32]byte(b), true
}

// InputOf returns the name of the input that a text stands for; ok is false if it is none.
func InputOf(text string) (name string, ok bool) {
	rest, begins := strings.CutPrefix(text, "${"+KindInput+".")
	name, ends := strings.CutSuffix(rest, "}")
	if !begins || !ends || name == "" || strings.ContainsAny(name, "${}") {
		return "", false
	}
	return name, true
}

// UsedInputs returns the names of the inputs that the description uses, each with a key that does.
func (d *Image) UsedInputs() map[string]diag.Key {
	used := map[string]diag.Key{}
	addInputs(used, reflect.ValueOf(d).Elem())
	return used
}

// addInputs adds the inputs that are used in a table, an array or a value. Values are not copied: tables are large, and may be many.
func addInputs(used map[string]diag.Key, v reflect.Value) {
	switch value := v.Addr().Interface().(type) {
	case *Text:
		addInput(used, value.V, value.Key)
	case *Value[Template]:
		addInput(used, string(value.V), value.Key)
	case *diag.Key:
	default:
		addBelow(used, v)
	}
}

func addInput(used map[string]diag.Key, text string, key diag.Key) {
	if name, ok := InputOf(text); ok {
		if _, known := used[name]; !known {
			used[name] = key
		}
	}
}

// addBelow adds the inputs that are used in the fields of a struct or in the elements of a slice.
func addBelow(used map[string]diag.Key, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			addInputs(used, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			addInputs(used, v.Index(i))
		}
	}
}

var (
	inputName  = regexp.MustCompile(language.InputNameForm)
	digestText = regexp.MustCompile(language.DigestForm)
)

// inputs checks every [[input]], and that those that are used are there.
func (c *checker) inputs() {
	taken := unique{}
	var names []string
	for i := range c.d.Input.Items {
		in := &c.d.Input.Items[i]
		c.unique(taken, in.Name.Key, in.Name.V, "the name")
		names = append(names, in.Name.V)
		c.input(in)
	}
	for name, key := range c.d.UsedInputs() {
		if slices.Contains(names, name) {
			continue
		}
		if err := c.absent("input", name, names); err != nil {
			c.ReportError(key, err)
		}
	}
}

func (c *checker) input(in *Input) {
	if name := in.Name; name.V != "" && (!inputName.MatchString(name.V) || len(name.V) > maxNameLength) {
		c.Report(name.Key, fmt.Sprintf("%q is not a name of an input", name.V), "use a-z A-Z 0-9 . _ + -, a letter or digit first")
	}
	if sum := in.SHA256; sum.V != "" && !digestText.MatchString(sum.V) {
		c.Report(sum.Key, fmt.Sprintf("%.80q is not a SHA-256: 64 hexadecimal digits in lower case", sum.V), "")
	}
	if in.Size.V.Auto {
		c.Report(in.Size.Key, "is not a number of bytes", "")
	}
	for _, text := range in.Locators.Items {
		l, err := locator.Parse(text.V)
		switch {
		case text.V == "": // which is reported
		case err != nil:
			c.ReportError(text.Key, err)
		case l.Kind == locator.Store && !inStore(l.Path):
			c.Report(text.Key, fmt.Sprintf("%q is not in a store", l.Path), "write file:PATH for a file elsewhere")
		}
	}
	if k := in.Locators.Key; k.Written && len(in.Locators.Items) == 0 {
		c.Report(k, "is empty", `as in locators = ["file:firmware.bin"]`)
	}
}

// inStore reports whether a path is in a store of some flavor.
func inStore(path string) bool {
	return slices.ContainsFunc(closure.Flavors(), func(f closure.Flavor) bool { return strings.HasPrefix(path, f.StoreDir+"/") })
}
