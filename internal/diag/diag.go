// Package diag reports errors in a user's file: position, key, what is wrong, and what to do about it; all of them at once.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Position is a place in a file: line and column count from 1, the column in characters. Line 0 means the file as a whole.
type Position struct {
	File string
	Line int
	Col  int
}

// String is "file:line:col".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// A Problem is one error in a file.
type Problem struct {
	Position
	Key  string // as in "partition[1].size"; may be empty
	Text string // lower case, no full stop, with the numbers that decide it
	Hint string // what to write instead; may be empty

	// World says that the file is not to blame, but the world: a broken disk, a database that is locked, too few open files.
	World bool
}

// String is "file:line:col: key: problem", and the hint on a line of its own.
func (p Problem) String() string {
	s := p.Position.String() + ": "
	if p.Key != "" {
		s += p.Key + ": "
	}
	s = strings.ReplaceAll(s+p.Text, "\n", `\n`) // names may have any bytes
	if p.Hint != "" {
		s += "\nhint: " + strings.ReplaceAll(p.Hint, "\n", "\n      ")
	}
	return s
}

// A List is every problem found. A List with problems is an error.
type List []Problem

// maxPrinted is how many problems an error prints: nobody reads more before mending some of them.
const maxPrinted = 50

// Error implements error: one problem after the other, in the order of the list, and how many more there are than it prints.
func (l List) Error() string {
	var lines []string
	for _, p := range l[:min(len(l), maxPrinted)] {
		lines = append(lines, p.String())
	}
	if more := len(l) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Err returns the list as an error, sorted and without repetitions, or nil when it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	l = slices.Clone(l)
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Key, b.Key))
	})
	return slices.Compact(l)
}

// Nearest returns the known word that was probably meant, or "". It may differ by a third of the letters of word, and one more: enough for
// usual typing errors, too few to make a different word of a short one.
func Nearest(word string, known []string) string {
	best, nearest := len(word)/3+2, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < best {
			best, nearest = d, k
		}
	}
	return nearest
}

// distance is the optimal string alignment distance of two words: the insertions, deletions, replacements and swaps of neighbours that turn
// one into the other. Of the table, three rows are kept.
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
