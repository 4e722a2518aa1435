package keyed

import (
	"fmt"
	"strings"

	"imprint/internal/diag"
)

// Limits of the search for a similar word, for hostile texts.
const (
	maxKnown = 200 // known words that a wrong one is compared with
	maxWord  = 64  // bytes of a wrong word that is compared at all; the time is quadratic
)

// Meant returns the hint for an unknown word: the most similar known one, or a list of the known ones. Its time is bounded for
// words of any length and number.
func Meant(word string, known []string) string {
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
