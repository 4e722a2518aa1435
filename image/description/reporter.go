package description

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"imprint/internal/diag"
)

// Bounds of the report, for hostile descriptions.
const (
	maxProblems = 500
	maxText     = 2000 // bytes of a text, a hint or the path of a key; the golden hints are shorter
	maxKnown    = 200  // known words that a wrong one is compared with
	maxWord     = 64   // bytes of a wrong word that is compared at all; the time is quadratic
)

// A reporter collects the problems of a description. It keeps one for each key: others would only follow from the first.
type reporter struct {
	top      diag.Key // of the description as a whole
	problems diag.List
	reported map[string]bool // paths of keys with a problem
	left     int             // problems beyond maxProblems
}

// report adds a problem at a key, unless the key has one already.
func (r *reporter) report(k diag.Key, text, hint string) {
	switch {
	case r.reported[k.Path]:
	case len(r.problems) == maxProblems:
		r.left++
	default:
		r.reported[k.Path] = true
		k.Path = printable(k.Path)
		r.problems = append(r.problems, k.Problem(printable(text), strings.Join(printableLines(hint), "\n")))
	}
}

// reportError is report for an error, which may carry a hint.
func (r *reporter) reportError(k diag.Key, err error) {
	p := k.ProblemOf(err)
	r.report(k, p.Text, p.Hint)
}

// full reports whether further problems are only counted, so that their texts need not be computed.
func (r *reporter) full() bool { return len(r.problems) == maxProblems }

// err returns all problems, or nil.
func (r *reporter) err() error {
	if r.left > 0 {
		r.problems = append(r.problems, r.top.Problem(fmt.Sprintf("has at least %d errors; %d are reported", maxProblems+r.left, maxProblems), ""))
	}
	return r.problems.Err()
}

func printableLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return lines
}

// printable shortens a long text in the middle, and escapes what a terminal would not show as it is.
func printable(text string) string {
	if len(text) > maxText {
		text = text[:maxText/2] + " … " + text[len(text)-maxText/2:]
	}
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return out.String()
}

// meant is the hint for an unknown word.
func meant(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	list := make([]string, min(len(known), maxKnown))
	for i := range list {
		list[i] = strings.ReplaceAll(known[i], "\n", `\n`)
	}
	return "known: " + strings.Join(list, ", ")
}

// nearest is [diag.Nearest], for words of any length and number.
func nearest(word string, known []string) string {
	if len(word) > maxWord {
		return ""
	}
	return diag.Nearest(word, known[:min(len(known), maxKnown)])
}
