package sexp

import (
	"fmt"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// show writes a node with quoted strings.
func show(n Node) string {
	if !n.IsList {
		return fmt.Sprintf("%q", n.Text)
	}
	var all []string
	for _, c := range n.List {
		all = append(all, show(c))
	}
	return "(" + strings.Join(all, " ") + ")"
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"(3:abc1: (0:))": `("abc" " " (""))`,
		"\n (ecc\n (curve Ed25519)\n (q #0a 0B#)) \x00": `("ecc" ("curve" "Ed25519") ("q" "\n\v"))`,
		`("a\"\x41" |YWI=| rfc6979)`:                    `("a\"A" "ab" "rfc6979")`,
		"abc":                                           `"abc"`,
		"()":                                            "()",
		"":                                              "it ends too early",
		"(":                                             "it ends too early",
		"(a))":                                          "byte 3: something follows",
		"(4:abc)":                                       "", // the bracket is the fourth byte, and then it ends
		"(5:abc)":                                       "ends 1 bytes too early",
		"(03:abc)":                                      "no length and colon",
		"(99999999999999999999:a)":                      "no length and colon",
		"#0g#":                                          "invalid byte",
		"#00":                                           `the second '#' is missing`,
		`"a\"`:                                          "quotation mark is missing",
		`"\q"`:                                          "is not a string",
		"[a]":                                           `unexpected '['`,
		strings.Repeat("(", 100):                        "more than 64 lists",
		strings.Repeat("a", maxText+1):                  "more than 65536",
	} {
		n, err := Parse(text)
		if err != nil {
			if want == "" {
				want = "it ends too early"
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.60q: %v, want %s", text, err, want)
			}
		} else if got := show(n); got != want {
			t.Errorf("%.60q: %s, want %s", text, got, want)
		}
	}
	n, _ := Parse("(a (b c) (d (e f)))")
	if v, ok := n.Value("b"); !ok || v != "c" {
		t.Error(v)
	}
	if _, ok := n.Value("d"); ok {
		t.Error("a list is a value")
	}
	if d, ok := n.Find("d"); !ok || !d.Is("d") || d.Is("e") {
		t.Error(d)
	}
}

// What is read, written in canonical form, is read as the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"(3:abc1: (0:))", "(ecc (curve Ed25519) (q #0a0B#))", `("a\"\x41" |YWI=| rfc6979)`} {
		f.Add(text)
	}
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(canonical(n) + " ")
		if err != nil && len(canonical(n)) < maxText || err == nil && show(again) != show(n) {
			t.Errorf("%s is read again as %s, %v", show(n), show(again), err)
		}
	})
}

func canonical(n Node) string {
	if !n.IsList {
		return fmt.Sprintf("%d:%s", len(n.Text), n.Text)
	}
	var b strings.Builder
	for _, c := range n.List {
		b.WriteString(canonical(c))
	}
	return "(" + b.String() + ")"
}
