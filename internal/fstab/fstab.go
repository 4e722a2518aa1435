// Package fstab writes and reads /etc/fstab, the table of file systems that a system mounts (fstab(5)).
package fstab

import (
	"fmt"
	"slices"
	"strings"
)

// An Entry is a line of the table.
type Entry struct {
	Source  string // such as "PARTUUID=…"
	Target  string // mount point; "none" for swap space
	Type    string // of the file system
	Options string // "" means "defaults"
	Pass    int    // when fsck checks it: 1 for the root, 2 for others, 0 for never
}

// Text returns the table. Mount points come after those above them.
func Text(entries []Entry) string {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(order(a), order(b)) })
	var b strings.Builder
	b.WriteString("# <source> <mount point> <type> <options> <dump> <pass>\n")
	for _, e := range entries {
		options := e.Options
		if options == "" {
			options = "defaults"
		}
		fmt.Fprintf(&b, "%s %s %s %s 0 %d\n", escaped(e.Source), escaped(e.Target), escaped(e.Type), escaped(options), e.Pass)
	}
	return b.String()
}

// order returns the sort key of an entry: mount points sort by path, entries without one last.
func order(e Entry) string {
	if !strings.HasPrefix(e.Target, "/") {
		return "\xff" + e.Target
	}
	return strings.TrimSuffix(e.Target, "/") + "/"
}

// escaped writes characters that would end a field in octal, as getmntent(3) decodes them.
func escaped(field string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace(field)
}

// IsEmpty reports whether a table mounts nothing: it has only comments and empty lines.
func IsEmpty(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}
