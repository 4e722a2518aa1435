// Package accounts reads the names of users and groups from /etc/passwd and /etc/group of a system (passwd(5), group(5)).
package accounts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/diag"
)

// MaxSize is the largest size of a file of accounts in bytes: enough for several hundred thousand.
const MaxSize = 32 << 20

// Accounts maps the names of users or groups to their numbers.
type Accounts map[string]uint32

// Parse parses a passwd or group file: in both, the name is the first field of a line and the number the third. As in the C library, the
// first of several lines with a name counts, and lines without an account are skipped: empty lines, comments, and those of NIS, which begin
// with "+" or "-".
func Parse(text string) Accounts {
	known := Accounts{}
	for line := range strings.SplitSeq(text, "\n") {
		name, id, ok := account(line)
		if _, again := known[name]; ok && !again {
			known[name] = id
		}
	}
	return known
}

// account returns the name and the number in a line.
func account(line string) (name string, id uint32, ok bool) {
	fields := strings.SplitN(line, ":", 4)
	if len(fields) < 4 || fields[0] == "" || strings.ContainsRune("+-#", rune(line[0])) {
		return "", 0, false
	}
	n, err := strconv.ParseUint(fields[2], 10, 32)
	return fields[0], uint32(n), err == nil && n <= MaxID
}

// MaxID is the largest number of a user or group; the next one means "none" to chown(2).
const MaxID = 1<<32 - 2

// ID returns the number of a name. The error is a [diag.Mistake] that suggests a similar name; for its text, what is "user" or "group", and
// file the path that the accounts were read from.
func (a Accounts) ID(name, what, file string) (uint32, error) {
	if id, ok := a[name]; ok {
		return id, nil
	}
	m := diag.Mistake{Text: fmt.Sprintf("there is no %s %q in %s", what, name, file), Hint: "write the number instead, or add the " + what}
	if near := diag.Nearest(name, slices.Sorted(maps.Keys(a))); near != "" {
		m.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return 0, m
}
