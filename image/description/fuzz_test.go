package description

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"imprint/internal/diag"
	"imprint/internal/hosttest"

	"github.com/BurntSushi/toml"
)

// Parse takes any text without a panic, and reports every mistake with its position, in words that a terminal shows as they are. What it
// accepts the schema accepts too.
func FuzzParse(f *testing.F) {
	var schema object
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		f.Fatal(err)
	}
	archives, _ := filepath.Glob("testdata/parse/*.txtar")
	for _, name := range archives {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, d := range descriptions(string(src)) {
			f.Add([]byte(d.text))
		}
	}
	hosttest.Fuzz(f, func(t *testing.T, src []byte) {
		d, err := Parse("x.toml", src)
		if err == nil {
			expandAll(d.WithDefaults())
			var tables map[string]any
			err := toml.Unmarshal(src, &tables)
			if refusal := refuse(schema, plain(t, tables), ""); err != nil || refusal != "" {
				t.Errorf("only the schema refuses it: %s, %v", refusal, err)
			}
			return
		}
		var list diag.List
		if !errors.As(err, &list) || len(list) == 0 {
			t.Fatalf("the error is a %T", err)
		}
		lines := strings.Count(string(src), "\n") + 1
		for _, p := range list {
			if p.File != "x.toml" || p.Text == "" || p.Line < 0 || p.Line > lines || (p.Line > 0) != (p.Col > 0) {
				t.Errorf("%#v in %d lines", p, lines)
			}
			if strings.ContainsFunc(p.String(), func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' }) {
				t.Errorf("%q", p)
			}
		}
	})
}

// expandAll expands every template of a description; each substitution must be answered.
func expandAll(d *Image) {
	lookup := func(r Reference) string { return r.Kind + r.Name + r.Field }
	for _, e := range d.Boot.Entry.Items {
		e.Kernel.V.Expand(lookup)
		e.Cmdline.V.Expand(lookup)
	}
	for _, p := range d.Partition.Items {
		for _, l := range p.Link.Items {
			l.Target.V.Expand(lookup)
		}
	}
}
