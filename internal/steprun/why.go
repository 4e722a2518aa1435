package steprun

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/objects"
	"imprint/internal/stepstore"
)

// mostCompared is the number of earlier results that a step is compared with, those that were used last.
const mostCompared = 100

// Why returns why nothing of what was kept is what a step makes of the tree with a pin: what differs from the earlier result of a step of that name that
// is most like it. It is empty if there is none.
func (r *Runner) Why(s *Step, pin objects.Digest) (reasons []string) {
	id := s.ID(pin)
	if _, err := r.Store.Steps().Get(id); err == nil || errors.Is(err, objects.ErrDamaged) {
		return []string{"what it has made before is damaged"}
	}
	list, _, err := r.Store.Steps().All()
	if err != nil {
		return nil
	}
	list = slices.DeleteFunc(list, func(one *stepstore.Result) bool { return one.Name != s.Name })
	slices.SortStableFunc(list, func(a, b *stepstore.Result) int { return b.Used.Compare(a.Used) })
	now := parts(string(s.whole(pin)))
	for _, one := range list[:min(len(list), mostCompared)] {
		text, err := r.Store.Steps().Text(one.ID)
		if err != nil {
			continue
		}
		if d := differences(parts(string(text)), now); reasons == nil || len(d) < len(reasons) {
			reasons = d
		}
	}
	return reasons
}

// A part is something that the ID of a step depends on.
type part struct{ name, value string }

// parts returns the parts of a step, from the text that identifies it.
func parts(text string) (list []part) {
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		fields := quoted(rest)
		switch {
		case word == "env":
			for _, v := range fields {
				name, value, _ := strings.Cut(v, "=")
				list = append(list, part{"variable " + name, strconv.Quote(value)})
			}
		case word == "run":
			list = append(list, part{word, rest})
		case word == "input" && len(fields) > 1:
			list = append(list, part{word + " " + fields[0], given(fields[1], rest)})
		case (word == "cache" || word == "output") && len(fields) > 0:
			list = append(list, part{word + " " + fields[0], strings.Join(fields[1:], " ")})
		case word == "on":
			list = append(list, part{"the tree below", shortened(rest)})
		default:
			list = append(list, part{word, rest})
		}
	}
	return list
}

// given returns the value of an input with a digest, whose line ends with whether it is writable, and with its mode if it is a file.
func given(digest, line string) string {
	value := shortened(digest)
	ends := strings.Fields(line[strings.LastIndexByte(line, '"')+1:])
	if slices.Contains(ends, "true") {
		value += ", writable"
	}
	if n := len(ends); n > 0 && ends[n-1] != "0000" {
		value += ", mode " + ends[n-1]
	}
	return value
}

// quoted returns the quoted words of a line.
func quoted(line string) (list []string) {
	for {
		at := strings.IndexByte(line, '"')
		if at < 0 {
			return list
		}
		word, err := strconv.QuotedPrefix(line[at:])
		if err != nil {
			return list
		}
		text, _ := strconv.Unquote(word)
		list = append(list, text)
		line = line[at+len(word):]
	}
}

// shortened returns the beginning of a digest.
func shortened(digest string) string {
	kind, digits, has := strings.Cut(digest, ":")
	if !has {
		kind, digits = "", digest
	}
	return strings.TrimPrefix(kind+":", ":") + digits[:min(len(digits), 12)]
}

// differences returns in words what differs between the parts of two steps.
func differences(old, now []part) []string {
	list := []string{}
	for _, p := range now {
		i := slices.IndexFunc(old, func(o part) bool { return o.name == p.name })
		switch {
		case i < 0:
			list = append(list, p.name+" is new")
		case old[i].value != p.value:
			list = append(list, changed(p.name, old[i].value, p.value))
		}
	}
	for _, o := range old {
		if !slices.ContainsFunc(now, func(p part) bool { return p.name == o.name }) {
			list = append(list, o.name+" is gone")
		}
	}
	return list
}

// changed says what a part was and is. Of texts that are long the beginnings that they have in common are left out.
func changed(name, was, is string) string {
	const most, context = 60, 10 // bytes
	skip := 0
	for skip < min(len(was), len(is)) && was[skip] == is[skip] {
		skip++
	}
	if skip = max(0, skip-context); max(len(was), len(is)) <= most {
		skip = 0
	}
	show := func(s string) string {
		text := strings.ToValidUTF8(s[skip:min(len(s), skip+most)], "")
		if skip > 0 {
			text = "…" + text
		}
		if skip+most < len(s) {
			text += "…"
		}
		return cmp.Or(text, "empty")
	}
	return fmt.Sprintf("%s was %s and is %s", name, show(was), show(is))
}
