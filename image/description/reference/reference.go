// Package reference writes the reference of the description language, as a Markdown page and as a manual page. What it says of a table or a key is
// the text that the JSON Schema has for it.
package reference

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A topic is a section before the keys. A paragraph that begins with a space is an example; `text` is code.
type topic struct {
	title      string
	paragraphs []string
}

// topics are what the keys have in common.
var topics = []topic{
	{"Form", []string{
		"A description is a file in TOML. `imprint init FILE` writes one to start from, with the JSON Schema beside it, from which editors complete and " +
			"check keys. An unknown key is an error. All errors are reported at once, with file and line.",
		"Paths of the host are relative to the description. Paths in the image are absolute.",
		"A size is an integer of bytes, or a text of an integer and one of the units B, KiB, MiB, GiB and TiB, such as `\"512MiB\"`.",
	}},
	{"Substitutions", []string{
		"In command lines, kernels, initrds, device trees, texts of files and targets of links these stand for what is known only when the image is laid out; " +
			"`$$` is a dollar sign:",
		" ${closure.NAME}              the store path of the closure's only root\n" +
			" ${closure.NAME.INDEX}        of one of several roots, from 0\n" +
			" ${partition.NAME.partuuid}   the partition's UUID in the partition table\n" +
			" ${partition.NAME.uuid}       the UUID of its file system\n" +
			" ${partition.NAME.label}      the label of its file system\n" +
			" ${disk.guid}                 the GUID of the disk, or the signature of an MBR\n" +
			" ${iso.uuid} ${iso.label}     the UUID and the label of an ISO",
	}},
	{"Example", []string{
		" name = \"web\"\n" +
			" [[partition]]\n" +
			" name = \"data\"\n" +
			" type = \"linux-generic\"\n" +
			" filesystem = \"ext4\"\n" +
			" free = \"1GiB\"\n" +
			"   [[partition.tree]]\n" +
			"   source = \"files/\"",
	}},
}

// facts are what is known of a key besides its text: its kind, whether it is required, its default, the values that it takes, and examples. Values are code.
func facts(k keyText) []string {
	facts := []string{k.Kind}
	if k.Required {
		facts = append(facts, "required")
	}
	if k.Default != nil {
		facts = append(facts, "default "+code(k.Default))
	}
	if len(k.Words) > 0 {
		quoted := make([]string, len(k.Words))
		for i, w := range k.Words {
			if quoted[i] = code(w); k.Kind == "integer" {
				quoted[i] = "`" + w + "`"
			}
		}
		facts = append(facts, "one of "+strings.Join(quoted, ", "))
	}
	if len(k.Examples) > 0 {
		shown := make([]string, len(k.Examples))
		for i, e := range k.Examples {
			shown[i] = code(e)
		}
		facts = append(facts, "such as "+strings.Join(shown, ", "))
	}
	return facts
}

// code is a TOML value as code.
func code(v any) string { return "`" + value(v) + "`" }

// value is a TOML value as a description writes it. Texts and arrays of them have the same form in JSON.
func value(v any) string {
	if list, ok := v.([]any); ok {
		elements := make([]string, len(list))
		for i, e := range list {
			elements[i] = value(e)
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	if table, ok := v.(map[string]any); ok {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(table)) {
			pairs = append(pairs, name+" = "+value(table[name]))
		}
		return "{ " + strings.Join(pairs, ", ") + " }"
	}
	if text, ok := v.(string); ok {
		quoted, err := json.Marshal(text)
		if err == nil {
			return string(quoted)
		}
	}
	return fmt.Sprint(v)
}
