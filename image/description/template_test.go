package description

import (
	"fmt"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

func TestExpand(t *testing.T) {
	lookup := func(r Reference) string { return fmt.Sprintf("<%s %q %d %s>", r.Kind, r.Name, r.Index, r.Field) }
	for text, want := range map[Template]string{
		"":                         "",
		"plain {text} }":           "plain {text} }",
		"$$":                       "$",
		"a$$$${b}":                 "a$${b}",
		"$${closure.a}":            "${closure.a}",
		"${closure.a}/x":           `<closure "a" 0 >/x`,
		"x${closure.a-b_1.12}":     `x<closure "a-b_1" 12 >`,
		"${partition.a.b.uuid}":    `<partition "a.b" 0 uuid>`,
		"${partition.uuid.label}":  `<partition "uuid" 0 label>`,
		"${disk.guid}${disk.guid}": `<disk "" 0 guid><disk "" 0 guid>`,
		"$$${disk.guid}$$":         `$<disk "" 0 guid>$`,
	} {
		if got := text.Expand(lookup); got != want {
			t.Errorf("%q expands to %q; want %q", text, got, want)
		}
		if _, errs := text.References(); errs != nil {
			t.Errorf("%q: %v", text, errs)
		}
	}
}

func TestExpandNeedsNoSecondPass(t *testing.T) {
	got := Template("${disk.guid}").Expand(func(Reference) string { return "${closure.a} $$" })
	if want := "${closure.a} $$"; got != want {
		t.Errorf("what a substitution gave was expanded again: %q", got)
	}
}

// Text in which every $ is doubled comes back as it was.
func TestEscapedTextIsItself(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("${}.a é\nclosure"))).Draw(t, "text")
		escaped := Template("")
		for _, c := range text {
			if c == '$' {
				escaped += "$"
			}
			escaped += Template(c)
		}
		if got := escaped.Expand(func(Reference) string { t.Fatal("a substitution was found"); return "" }); got != text || !escaped.literal() {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
