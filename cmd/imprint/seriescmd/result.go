package seriescmd

import (
	"fmt"
	"strings"

	"imprint/internal/series"
	"imprint/internal/units"
)

// A Result says what a build did.
type Result struct {
	Series     string   `json:"series"`
	Generation int      `json:"generation"`
	New        bool     `json:"new"`     // false: the current generation has the same disk
	How        string   `json:"how"`     // "whole", "shared", "copied", "in place" or "unchanged"
	Reused     int      `json:"reused"`  // contents of files that were in the build store
	Read       int      `json:"read"`    // contents of files that were read and verified
	Written    int64    `json:"written"` // bytes of the disk
	Layout     []Layout `json:"layout,omitempty"`
	Why        []Change `json:"why,omitempty"`
}

// A Change is an input of an image that differs from that of the generation before.
type Change struct {
	Input string `json:"input"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// compare returns the inputs that differ between two lists, both sorted by name.
func compare(old, inputs []series.Input) (list []Change) {
	for len(old)+len(inputs) > 0 {
		switch {
		case len(inputs) == 0 || len(old) > 0 && old[0].Name < inputs[0].Name:
			list = append(list, Change{Input: old[0].Name, Old: old[0].Value})
			old = old[1:]
		case len(old) == 0 || inputs[0].Name < old[0].Name:
			list = append(list, Change{Input: inputs[0].Name, New: inputs[0].Value})
			inputs = inputs[1:]
		default:
			if old[0].Value != inputs[0].Value {
				list = append(list, Change{inputs[0].Name, old[0].Value, inputs[0].Value})
			}
			old, inputs = old[1:], inputs[1:]
		}
	}
	return list
}

// Text returns the result in lines.
func (r Result) Text() string {
	var t strings.Builder
	what := fmt.Sprintf("generation %d of %s", r.Generation, r.Series)
	if !r.New {
		what += ", as before"
	}
	fmt.Fprintf(&t, "  series    %s: %s of files read, %d from the build store; %s\n",
		what, units.Count(r.Read, "content"), r.Reused, written(r.How, r.Written))
	for _, l := range r.Layout {
		t.WriteString(l.text())
	}
	t.WriteString(explained(r.Why))
	return t.String()
}

// written says how a file was written.
func written(how string, bytes int64) string {
	if how == unchanged {
		return "the image is as it was"
	}
	return fmt.Sprintf("written %s, %s", how, units.FormatBytes(bytes))
}

// explained returns changes in lines.
func explained(list []Change) string {
	var t strings.Builder
	for _, c := range list {
		switch {
		case c.Old == "":
			fmt.Fprintf(&t, "  + %s  %s\n", line(c.Input), shown(c.New))
		case c.New == "":
			fmt.Fprintf(&t, "  - %s  %s\n", line(c.Input), shown(c.Old))
		default:
			fmt.Fprintf(&t, "  ! %s  %s is now %s\n", line(c.Input), shown(c.Old), shown(c.New))
		}
	}
	return t.String()
}

// shown returns a value as it is printed: what is long is cut.
func shown(value string) string {
	const most = 100
	if len(value) > most {
		value = value[:most] + "…"
	}
	return line(value)
}
