package seriescmd

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"imprint/cmd/imprint/family"
	"imprint/image/plan"
	"imprint/internal/series"
	"imprint/internal/units"

	"github.com/spf13/cobra"
)

// A listed is a series as list prints it.
type listed struct {
	Name        string         `json:"name"`
	Current     int            `json:"current"`
	Generations int            `json:"generations"`
	Image       string         `json:"image"` // digest of the current one
	Tags        map[string]int `json:"tags"`
}

func (w World) list() *cobra.Command {
	return family.Table[listed]{Row: listed.row}.Command(w.World, &cobra.Command{
		Use:   "list",
		Short: "List the series",
		Long:  "list prints a line for each series: its name, the number of its current generation, how many there are, and the digest of that image.",
		Args:  w.Arguments(0, 0, "no argument"),
	}, func([]string) ([]listed, error) {
		s, _, err := w.open()
		if err != nil {
			return nil, err
		}
		all, err := s.List()
		list := []listed{}
		for _, e := range all {
			one, err := describe(s, e)
			if err != nil {
				return nil, fmt.Errorf("series %q: %w", e.Name, err)
			}
			list = append(list, one)
		}
		return list, err
	})
}

func describe(s *series.Store, e *series.Series) (listed, error) {
	g, err := e.Find("")
	if err != nil {
		return listed{}, err
	}
	r, err := s.Record(g)
	if err != nil {
		return listed{}, err
	}
	return listed{e.Name, g.Number, len(e.Generations), r.Image, e.Tags}, nil
}

func (e listed) row() []string {
	return []string{e.Name, fmt.Sprintf("generation %d", e.Current), fmt.Sprintf("of %d", e.Generations), e.Image}
}

// A shown generation, as show prints it.
type shownGeneration struct {
	Number int      `json:"number"`
	Image  string   `json:"image"`
	Size   int64    `json:"size"`  // bytes of the disk
	Items  int      `json:"items"` // of stores
	Data   int64    `json:"data"`  // bytes of its contents
	Own    int64    `json:"own"`   // bytes of those that no earlier generation of the series has
	Tags   []string `json:"tags"`
}

func (w World) show() *cobra.Command {
	header := []string{"GENERATION", "IMAGE", "SIZE", "ITEMS", "CONTENT", "NEW", "TAGS"}
	c := family.Table[shownGeneration]{Header: header, Row: shownGeneration.row}.Command(w.World, &cobra.Command{
		Use:   "show NAME[:TAG]",
		Short: "Show the generations of a series, or the manifest of one",
		Long: `show prints a line for each generation of a series, the oldest first: its number, the digest of the image, its size, the number of its store
items, the bytes of its contents, how many of these no earlier generation has, and its tags. With a TAG or a number it prints the manifest of
that generation, as it was beside the image.`,
		Args: w.Arguments(1, 1, "a NAME or NAME:TAG"),
	}, func(args []string) ([]shownGeneration, error) {
		s, e, _, err := w.find(args[0])
		if err != nil {
			return nil, err
		}
		return generations(s, e)
	})
	table := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if !strings.Contains(args[0], ":") {
			return table(c, args)
		}
		return w.manifest(args[0])
	}
	return c
}

func (g shownGeneration) row() []string {
	return []string{strconv.Itoa(g.Number), fmt.Sprintf("%.28s", g.Image), units.FormatBytes(g.Size), strconv.Itoa(g.Items), units.FormatBytes(g.Data), units.FormatBytes(g.Own), strings.Join(g.Tags, " ")}
}

// manifest prints the manifest of a generation.
func (w World) manifest(generation string) error {
	s, _, g, err := w.find(generation)
	if err != nil {
		return err
	}
	r, err := s.Record(g)
	if err != nil {
		return err
	}
	text, err := s.Manifest(r)
	if err != nil {
		return err
	}
	return w.Print("%s", text)
}

// generations describes the generations of a series.
func generations(s *series.Store, e *series.Series) (list []shownGeneration, err error) {
	seen := map[[32]byte]bool{}
	for _, g := range e.Generations {
		r, err := s.Record(g)
		if err != nil {
			return nil, err
		}
		m, err := manifest(s, r)
		if err != nil {
			return nil, err
		}
		d, err := s.Recipe(r)
		if err != nil {
			return nil, err
		}
		one := shownGeneration{Number: g.Number, Image: r.Image, Size: m.Size, Items: len(m.Items), Tags: e.TagsOf(g.Number)}
		for _, c := range d.Contents {
			one.Data += c.Size
			if !seen[c.Digest] {
				one.Own += c.Size
			}
			seen[c.Digest] = true
		}
		list = append(list, one)
	}
	return list, nil
}

func manifest(s *series.Store, r *series.Record) (*plan.Manifest, error) {
	text, err := s.Manifest(r)
	if err != nil {
		return nil, err
	}
	m := &plan.Manifest{}
	return m, json.Unmarshal(text, m)
}

func (w World) diff() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff NAME[:TAG] [NAME[:TAG]]",
		Short: "Show which inputs differ between two generations",
		Long: `diff compares what two generations were made of: keys of the description, host files by their digests, store items by their NAR hashes. It prints
+ for what only the second one has, - for what only the first one has, and ! with both values for what differs, and how much of the disk
does. With one generation it is compared with the one before. It exits with 6 if there is a difference. To compare the images
themselves, make them (imprint series build) and use imprint diff.`,
		Args: w.Arguments(1, 2, "one or two generations"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, old, now, err := w.pair(args)
			if err != nil {
				return err
			}
			return w.difference(s, old, now, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return c
}

// pair returns the two generations to compare.
func (w World) pair(args []string) (s *series.Store, old, now series.Generation, err error) {
	s, e, first, err := w.find(args[0])
	if err != nil {
		return nil, old, now, err
	}
	if len(args) == 2 {
		_, _, now, err = w.find(args[1])
		return s, first, now, err
	}
	for _, g := range e.Generations {
		if g.Number < first.Number {
			old = g
		}
	}
	if old.Number == 0 {
		err = fmt.Errorf("generation %d of %s is the first: name another one", first.Number, e.Name)
	}
	return s, old, first, err
}

func (w World) difference(s *series.Store, old, now series.Generation, asJSON bool) error {
	a, err := s.Record(old)
	if err != nil {
		return err
	}
	b, err := s.Record(now)
	if err != nil {
		return err
	}
	inputs, err := s.Inputs(b)
	if err != nil {
		return err
	}
	changes, err := changesSince(s, old, inputs)
	if err != nil {
		return err
	}
	before, err := s.Recipe(a)
	if err != nil {
		return err
	}
	after, err := s.Recipe(b)
	if err != nil {
		return err
	}
	bytes := int64(0)
	for _, r := range after.Difference(before) {
		bytes += r.Len
	}
	if asJSON {
		err = w.Document(map[string]any{"equal": a.Image == b.Image, "changes": append([]Change{}, changes...), "bytes": bytes})
	} else if err = w.Print("%s", explained(changes)); err == nil && a.Image != b.Image {
		err = w.Print("at most %s of %s differ on the disk\n", units.FormatBytes(bytes), units.FormatBytes(after.Size))
	}
	if err == nil && a.Image != b.Image {
		err = w.Differs
	}
	return err
}
