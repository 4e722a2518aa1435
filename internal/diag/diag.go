// Package diag reports errors in a user's file: position, key, problem and a hint, all of them at once.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Position is a position in a file: line and column count from 1, the column in characters. Line 0 means the whole file.
type Position struct {
	File string
	Line int
	Col  int
}

// String returns "file:line:col".
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

	// World says that the cause is not the file but the system: a broken disk, a locked database, too few open files.
	World bool
}

// String returns "file:line:col: key: problem", with the hint on its own line. A problem without a file begins with the key or the text.
func (p Problem) String() string {
	s := p.Position.String()
	if s != "" {
		s += ": "
	}
	if p.Key != "" {
		s += p.Key + ": "
	}
	s = strings.ReplaceAll(s+p.Text, "\n", `\n`) // names may have any bytes
	if p.Hint != "" {
		s += "\nhint: " + strings.ReplaceAll(p.Hint, "\n", "\n      ")
	}
	return s
}

// A List is all problems found. A List with problems is an error.
type List []Problem

// maxPrinted is the number of problems that an error prints; after fixing some, the rest is printed.
const maxPrinted = 50

// Error implements error. It lists the problems in order, and the number of those that it omits. A hint for several problems in a row with one
// key comes after the last of them.
func (l List) Error() string {
	var lines []string
	printed := l[:min(len(l), maxPrinted)]
	for i, p := range printed {
		if i+1 < len(printed) && printed[i+1].Key == p.Key && printed[i+1].Position == p.Position && printed[i+1].Hint == p.Hint {
			p.Hint = ""
		}
		lines = append(lines, p.String())
	}
	if more := len(l) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Err returns the list as an error, sorted and without duplicates, or nil if it is empty.
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

// Nearest returns the known word that was probably meant, or "". It may differ in a third of the letters of word, plus one:
// enough for common typing errors, but too few to turn a short word into another one.
func Nearest(word string, known []string) string {
	best, nearest := len(word)/3+2, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < best {
			best, nearest = d, k
		}
	}
	return nearest
}

// distance returns the optimal string alignment distance of two words: the number of insertions, deletions, replacements and
// swaps of neighbours that turn one into the other. It keeps three rows of the table.
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
