package diff

import (
	"fmt"
	"path"
	"strings"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// mostLines is the number of changes of a class that are listed without all.
const mostLines = 20

// headings are the titles of the classes in a list.
var headings = map[Class]string{
	Layout: "layout", Store: "store", File: "files", Structure: "structure", ID: "identifiers", Time: "times",
	Derived: "derived (checksums, counters, copies, places of files)", Unused: "unused space",
}

// Text formats changes for people, by class. Without all, long lists are cut, and derived and unused bytes are only counted if there are
// other changes.
func Text(changes []Change, all bool) string {
	var b strings.Builder
	meaning := false
	for _, class := range Classes {
		var list []Change
		for _, c := range changes {
			if c.Class == class {
				list = append(list, c)
			}
		}
		if len(list) == 0 {
			continue
		}
		minor := class == Derived || class == Unused
		if minor && meaning && !all {
			fmt.Fprintf(&b, "%s: %s (--all lists them)\n", headings[class], units.Count(len(list), "difference"))
			continue
		}
		meaning = true
		fmt.Fprintf(&b, "%s:\n", headings[class])
		lines(&b, list, all)
	}
	return b.String()
}

// lines lists the changes of a class. The chain of an item is printed once.
func lines(b *strings.Builder, list []Change, all bool) {
	last := ""
	for i, c := range list {
		if i == mostLines && !all {
			fmt.Fprintf(b, "  and %d more (--all lists them)\n", len(list)-i)
			return
		}
		fmt.Fprintf(b, "  %s\n", c)
		if c.Chain != nil && c.Item != last {
			fmt.Fprintf(b, "      needed by %s: %s\n", tree.Shown(c.Chain.Root), names(c.Chain.Nodes))
		}
		last = c.Item
	}
}

// mostNames is the number of items of a chain that are listed at each of its ends.
const mostNames = 6

// names joins the items of a chain, without their directory.
func names(nodes []string) string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = tree.Shown(path.Base(n))
	}
	if more := len(list) - 2*mostNames; more > 0 {
		list = append(append(list[:mostNames:mostNames], fmt.Sprintf("%d more", more)), list[len(list)-mostNames:]...)
	}
	return strings.Join(list, " -> ")
}

var signs = map[string]string{Added: "+", Removed: "-", Changed: "~"}

// String returns the change in one line.
func (c Change) String() string {
	text := signs[c.What] + " "
	if c.Region != "" {
		text += tree.Shown(c.Region) + ": "
	}
	text += tree.Shown(c.Object)
	if c.What != Changed {
		return text + c.size()
	}
	if c.Field != "" {
		text += ", " + tree.Shown(c.Field)
	}
	if c.Bytes > 0 {
		text += fmt.Sprintf(" (%s from byte %d on)", units.Count(int(c.Bytes), "byte"), c.Offset)
	}
	if c.A != "" || c.B != "" {
		text += fmt.Sprintf(": %s -> %s", orNothing(c.A), orNothing(c.B))
	}
	return text
}

// size returns the kind and size of an object that was added or removed.
func (c Change) size() string {
	text := ""
	if kind := c.A + c.B; kind != "" {
		text = ", " + kind
	}
	if c.Bytes > 0 {
		text += ", " + units.FormatBytes(c.Bytes)
	}
	return text
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
