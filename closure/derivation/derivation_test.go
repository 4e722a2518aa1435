package derivation

import (
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

// The outputs are those that were written.
func TestOutputs(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.StringMatching(`[a-zA-Z0-9+._?=-]{1,20}`), rapid.ID).Draw(t, "ids")
		var terms []string
		var want []Output
		for _, id := range ids {
			o := Output{id, rapid.SampledFrom([]string{"", "/nix/store/a", "/nix/store/b"}).Draw(t, "path")}
			terms = append(terms, `("`+o.ID+`","`+o.Path+`","r:sha256","")`)
			want = append(want, o)
		}
		slices.SortFunc(want, func(a, b Output) int { return strings.Compare(a.ID, b.ID) })
		got, err := Outputs("Derive([" + strings.Join(terms, ",") + "],[],[],…")
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	})
}

// A string of an ATerm may hold anything.
func TestString(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		quoted := strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(want)
		in := &term{rest: `"` + quoted + `",`}
		if got := in.string(); got != want || in.err != nil || in.rest != "," {
			t.Fatalf("%q, %v, want %q; left %q", got, in.err, want, in.rest)
		}
	})
}

func TestOutputsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":               `at byte 0: "Derive([" is missing`,
		"Derive([":       `at byte 8: "(" is missing`,
		`Derive([("out`:  "string without a closing quote",
		`Derive([("out\`: "string without a closing quote",
		"Derive([" + strings.Repeat(`("o","x","",""),`, 1025): "more than 1024 outputs",
		`Derive([("a","","","")("b"`:                          `at byte 22: "," is missing`,
		`Derive([("a","","",""),]`:                            `"(" is missing`,
		`Derive([("out","x","",""),("out","y","","")]`:        `output "out" is listed twice`,
	} {
		if got, err := Outputs(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzOutputs(f *testing.F) {
	f.Add(`Derive([("out","/nix/store/a","","")],[],["x"],"builtin","b",[],[])`)
	hosttest.Quick(f, func() { Outputs(`Derive([("out","/nix/store/a","",""),("dev","/nix/store/b","","")]`) })
	f.Add(`Derive([("o\"ut","","",""),("dev","/nix/store/b","r:sha256","00")]`)
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		got, err := Outputs(text)
		if err == nil && !slices.IsSortedFunc(got, func(a, b Output) int { return strings.Compare(a.ID, b.ID) }) {
			t.Errorf("%q gave %v", text, got)
		}
	})
}
