package envcmd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"imprint/cmd/imprint/family"
	"imprint/internal/environment"
	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

// A listed is an environment as list prints it.
type listed struct {
	Name    string            `json:"name"`
	Current string            `json:"current"`
	Layers  int               `json:"layers"`
	Bytes   int64             `json:"bytes"` // of all contents of the current stack
	Tags    map[string]string `json:"tags"`
}

func (w World) list() *cobra.Command {
	return family.Table[listed]{Row: listed.row}.Command(w.World, &cobra.Command{
		Use:   "list",
		Short: "List the environments",
		Long: `list prints a line for each environment: its name, the pin of its current stack, the number of its layers, the sum of their
contents, and its tags besides root and current.`,
		Args: w.Arguments(0, 0, "no argument"),
	}, func([]string) ([]listed, error) {
		s, err := w.open()
		if err != nil {
			return nil, err
		}
		all, err := s.List()
		list := []listed{}
		for _, e := range all {
			one, err := describe(s, e)
			if err != nil {
				return nil, fmt.Errorf("environment %q: %w", e.Name, err)
			}
			list = append(list, one)
		}
		return list, err
	})
}

func (e listed) row() []string {
	row := []string{e.Name, e.Current[:12], units.Count(e.Layers, "layer"), units.FormatBytes(e.Bytes)}
	for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
		if tag != environment.Root && tag != environment.Current {
			row = append(row, tag)
		}
	}
	return row
}

func describe(s *environment.Store, e *environment.Environment) (listed, error) {
	l := listed{Name: e.Name, Current: objects.Text(e.Tags[environment.Current]), Tags: map[string]string{}}
	for tag, pin := range e.Tags {
		l.Tags[tag] = objects.Text(pin)
	}
	stack, err := s.Stack(e.Tags[environment.Current])
	if err != nil {
		return l, err
	}
	layers, err := environment.Layers(stack, s.Outline)
	for _, one := range layers {
		if err == nil {
			l.Bytes += one.Size()
		}
	}
	l.Layers = len(stack)
	return l, err
}

// A shownLayer is a layer of a stack as show prints it.
type shownLayer struct {
	Pin     string   `json:"pin"`
	Layer   string   `json:"layer"`
	Paths   int      `json:"paths"`
	Bytes   int64    `json:"bytes"`
	Tags    []string `json:"tags"`
	Current bool     `json:"current"` // it is in the current stack
}

func (w World) show() *cobra.Command {
	return family.Table[shownLayer]{Header: []string{"PIN", "LAYER", "PATHS", "CONTENT", "TAGS"}, Row: shownLayer.row}.Command(w.World, &cobra.Command{
		Use:   "show NAME",
		Short: "Show the layers and tags of an environment",
		Long: `show prints a line for each stack of an environment, the lowest first: its pin, the digest of its uppermost layer, what that
has, and the tags that lead there. Stacks of other tags that are not part of the current one come last.`,
		Args: w.Arguments(1, 1, "a NAME"),
	}, func(args []string) ([]shownLayer, error) {
		s, e, err := w.find(args[0])
		if err != nil {
			return nil, err
		}
		return stacks(s, e)
	})
}

func (l shownLayer) row() []string {
	return []string{l.Pin[:12], l.Layer[:12], strconv.Itoa(l.Paths), units.FormatBytes(l.Bytes), strings.Join(l.Tags, " ")}
}

// stacks returns all stacks of an environment: those of current, then those of the other tags.
func stacks(s *environment.Store, e *environment.Environment) (list []shownLayer, err error) {
	seen := map[objects.Digest]bool{}
	order := append([]string{environment.Current}, slices.Sorted(maps.Keys(e.Tags))...)
	for i, tag := range order {
		stack, err := s.Stack(e.Tags[tag])
		if err != nil {
			return nil, err
		}
		for _, link := range stack {
			if seen[link.Pin] {
				continue
			}
			seen[link.Pin] = true
			l, err := s.Outline(link.Layer)
			if err != nil {
				return nil, err
			}
			list = append(list, shownLayer{
				objects.Text(link.Pin), objects.Text(link.Layer), len(l.Entries()), l.Size(), tagsOf(e, link.Pin), i == 0,
			})
		}
	}
	return list, nil
}

func tagsOf(e *environment.Environment, pin objects.Digest) []string {
	tags := []string{}
	for tag, at := range e.Tags {
		if at == pin {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

func (w World) diff() *cobra.Command {
	c := &cobra.Command{
		Use:   "diff NAME [TAG [TAG]]",
		Short: "Show what differs between two stacks of an environment",
		Long: `diff compares the trees of two stacks: by default the current one with that below its uppermost layer; with one TAG, that with the
current one. It prints + and the path of what only the second one has, - for what only the first one has, and ! for what differs.
It exits with 6 if there is a difference.`,
		Args: w.Arguments(1, 3, "a NAME and up to two TAGs"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, e, err := w.find(args[0])
			if err != nil {
				return err
			}
			from, to, err := between(s, e, args[1:])
			if err != nil {
				return explained(err)
			}
			a, err := s.OutlineTree(from)
			if err != nil {
				return err
			}
			b, err := s.OutlineTree(to)
			if err != nil {
				return err
			}
			return w.changes(layer.Changes(a, b))
		},
	}
	return c
}

// between returns the pins of the stacks to compare.
func between(s *environment.Store, e *environment.Environment, tags []string) (from, to objects.Digest, err error) {
	to = e.Tags[environment.Current]
	if len(tags) == 2 {
		if to, err = s.Pin(e, tags[1]); err != nil {
			return from, to, err
		}
	}
	if len(tags) > 0 {
		from, err = s.Pin(e, tags[0])
		return from, to, err
	}
	stack, err := s.Stack(to)
	if err == nil && len(stack) < 2 {
		err = fmt.Errorf("the current stack of %q has one layer: name the TAG to compare it with", e.Name)
	}
	if err != nil {
		return from, to, err
	}
	return stack[len(stack)-2].Pin, to, nil
}

func (w World) changes(list []layer.Change) error {
	for _, c := range list {
		sign, what := "!", kind(c.New)
		switch {
		case c.Old == nil:
			sign = "+"
		case c.New == nil:
			sign, what = "-", kind(c.Old)
		case kind(c.Old) != kind(c.New):
			what = kind(c.Old) + " became " + kind(c.New)
		}
		if err := w.Print("%s %s (%s)\n", sign, visible.Line(c.Path), what); err != nil {
			return err
		}
	}
	if len(list) > 0 {
		return w.Differs
	}
	return nil
}
