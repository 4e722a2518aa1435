package keyed

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"imprint/internal/diag"
)

// Bounds of the report, for hostile documents.
const (
	maxProblems = 500
	maxText     = 2000 // bytes of a text, a hint or the path of a key
)

// A Reporter collects the problems of a document. It keeps one for each key: others would only follow from the first. It
// bounds their number and length, and escapes characters that a terminal would not show.
type Reporter struct {
	top      diag.Key // of the document as a whole
	problems diag.List
	reported map[string]bool // paths of keys with a problem
	left     int             // problems beyond maxProblems
}

// NewReporter returns a reporter without problems. file is the name of the document in diagnostics.
func NewReporter(file string) *Reporter {
	return &Reporter{top: diag.Key{Position: diag.Position{File: file}}, reported: map[string]bool{}}
}

// Report adds a problem at a key, unless the key has one already. The hint may be empty.
func (r *Reporter) Report(k diag.Key, text, hint string) {
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

// ReportError is Report for an error, which may be a [diag.Mistake] with a hint.
func (r *Reporter) ReportError(k diag.Key, err error) {
	p := k.ProblemOf(err)
	r.Report(k, p.Text, p.Hint)
}

// Reported reports whether a key has a problem, by its path.
func (r *Reporter) Reported(path string) bool { return r.reported[path] }

// Reopen allows another problem for a key.
func (r *Reporter) Reopen(path string) { delete(r.reported, path) }

// Full reports whether further problems are only counted, so that their texts need not be computed.
func (r *Reporter) Full() bool { return len(r.problems) == maxProblems }

// Err returns all problems as a [diag.List], or nil.
func (r *Reporter) Err() error {
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

// printable shortens a long text in the middle, and escapes characters that a terminal would not show.
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
