package series

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprint/internal/named"
	"imprint/internal/objects"
)

var kind = &named.Kind[Series]{Word: "series", Article: "a", Lines: (*Series).lines, Parse: parse}

var errForm = errors.New("has a line that is not one of a series")

// lines has one for each part of a series.
func (e *Series) lines() (b []byte) {
	for _, g := range e.Generations {
		b = fmt.Appendf(b, "generation %d %s\n", g.Number, objects.Text(g.Record))
	}
	for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
		b = fmt.Appendf(b, "tag %s %d\n", tag, e.Tags[tag])
	}
	for _, f := range e.Files {
		b = fmt.Appendf(b, "file %d %v\n", f.Generation, f.Print)
	}
	for _, p := range e.Pending {
		b = fmt.Appendf(b, "pending %d %d %d %d %d\n", p.From, p.To, p.Device, p.Inode, p.Born)
	}
	return b
}

// parse is the inverse of lines.
func parse(name string, lines []byte) (*Series, error) {
	e := &Series{Name: name, Tags: map[string]int{}}
	for line := range bytes.Lines(lines) {
		if err := e.line(strings.TrimSuffix(string(line), "\n")); err != nil {
			return nil, err
		}
	}
	return e, e.check()
}

// line adds a line.
func (e *Series) line(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "generation":
		var g Generation
		var digest string
		if _, err := fmt.Sscanf(rest, "%d %s", &g.Number, &digest); err != nil {
			return errForm
		}
		var err error
		g.Record, err = objects.Parse(digest)
		e.Generations = append(e.Generations, g)
		return err
	case "tag":
		var n int
		tag, number, _ := strings.Cut(rest, " ")
		if _, err := fmt.Sscanf(number, "%d", &n); err != nil {
			return errForm
		}
		e.Tags[tag] = n
		return CheckTag(tag)
	case "file":
		f := File{}
		p := &f.Print
		_, err := fmt.Sscanf(rest, "%d %d %d %d %d %d", &f.Generation, &p.Device, &p.Inode, &p.Size, &p.Modified, &p.Changed)
		e.Files = append(e.Files, f)
		return err
	case "pending":
		p := Pending{}
		_, err := fmt.Sscanf(rest, "%d %d %d %d %d", &p.From, &p.To, &p.Device, &p.Inode, &p.Born)
		e.Pending = append(e.Pending, p)
		return err
	}
	return errForm
}

// check reports tags and files of generations that are not there, and numbers that do not ascend.
func (e *Series) check() error {
	last := 0
	for _, g := range e.Generations {
		if g.Number <= last {
			return errForm
		}
		last = g.Number
	}
	if _, has := e.Tags[Current]; !has {
		return fmt.Errorf("has no tag %q", Current)
	}
	for _, n := range e.Tags {
		if _, has := e.number(n); !has {
			return errForm
		}
	}
	for _, f := range e.Files {
		if _, has := e.number(f.Generation); !has {
			return errForm
		}
	}
	return nil
}
