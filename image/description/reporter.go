package description

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"imprint/internal/diag"
)

// Bounds of what is reported of a hostile description.
const (
	maxProblems = 500
	maxText     = 2000 // bytes of a text, a hint or the path of a key; the golden hints are shorter
	maxKnown    = 200  // words that a wrong one is compared with
	maxWord     = 64   // bytes of a wrong word that is compared with them
)

// A reporter collects the mistakes in a description.
type reporter struct {
	top      diag.Key // of the description as a whole
	problems diag.List
	told     map[string]bool // paths of keys with a mistake, of which more would only be noise
	left     int             // mistakes beyond maxProblems
}

// report notes a mistake at a key, unless there is one already.
func (r *reporter) report(k diag.Key, text, hint string) {
	switch {
	case r.told[k.Path]:
	case len(r.problems) == maxProblems:
		r.left++
	default:
		r.told[k.Path] = true
		k.Path = printable(k.Path)
		r.problems = append(r.problems, k.Problem(printable(text), strings.Join(printableLines(hint), "\n")))
	}
}

// reportError is report for an error that may know a hint.
func (r *reporter) reportError(k diag.Key, err error) {
	p := k.ProblemOf(err)
	r.report(k, p.Text, p.Hint)
}

// full reports whether further mistakes are only counted, so that nobody need say what they are.
func (r *reporter) full() bool { return len(r.problems) == maxProblems }

// err is the list of all mistakes, nil if there are none.
func (r *reporter) err() error {
	if r.left > 0 {
		r.problems = append(r.problems, r.top.Problem(fmt.Sprintf("has at least %d mistakes; %d are reported", maxProblems+r.left, maxProblems), ""))
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

// printable is a text without the middle of a long one, and with escapes in place of what a terminal would not show as it is.
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

// meant is the hint for a word that is not among the known ones.
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

// nearest is [diag.Nearest] for words of any length and number.
func nearest(word string, known []string) string {
	if len(word) > maxWord {
		return ""
	}
	return diag.Nearest(word, known[:min(len(known), maxKnown)])
}
