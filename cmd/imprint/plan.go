package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"imprint/image/plan"
	"imprint/image/realise"
	"imprint/image/resolve"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/internal/visible"

	"github.com/spf13/cobra"
)

func (r *root) plan() *cobra.Command {
	var asJSON, exact, all, run bool
	var against string
	c := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what an image will contain, without writing it",
		Long: `plan reads a description and the inputs it names, and shows the disk: partitions, offsets, sizes, inodes, and the largest
files and store items in each partition. It writes nothing; only compressed archives are unpacked, into a file in $TMPDIR or
/var/tmp that has no name and is gone afterwards, and what is fetched from a binary cache is kept in the build store.

A size or an offset with ≤ is an upper bound, since a host tool has yet to pack a file system; an offset in a file system that a
host tool makes is not known. If steps have not run yet, nothing is known of what is in their partitions: then plan lists which steps
will run, and which have run before. Without --bytes sizes are rounded, and long paths are cut in the middle.

` + fetchingHelp,
		Example:           "  imprint plan image.toml\n  imprint plan image.toml --json | jq .partitions",
		Args:              exactly(1, "one description FILE"),
		ValidArgsFunction: tomlFiles,
		RunE: func(c *cobra.Command, args []string) error {
			defer r.ui.clear()
			d, err := parse(c.Context(), args[0])
			if err != nil {
				return err
			}
			p, err := r.resolveAs(c.Context(), d, resolve.Inputs{Dir: dirOf(args[0]), Steps: realise.Options{DryRun: !run}, Streams: true})
			var pending *realise.PendingError
			if errors.As(err, &pending) {
				return r.showPending(d.Name.V, pending.Steps, asJSON)
			}
			if err != nil {
				return err
			}
			r.ui.clear()
			if r.json = asJSON; against != "" {
				return r.planDiff(c.Context(), p, against, all)
			}
			m := p.plan.Manifest(p.layout, 5)
			if asJSON {
				_, err = r.stdout.Write(m.JSON())
				return err
			}
			return r.show(m, listing{exact})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as a JSON document")
	c.Flags().StringVar(&against, "diff", "", "show what a build would change in this `image`, and exit with 6 if it would change anything")
	c.Flags().BoolVar(&all, "all", false, "with --diff, list every difference")
	c.Flags().BoolVar(&run, "run-steps", false, "run the steps that have not run yet, as a build does")
	r.describes(c)
	c.Flags().BoolVar(&exact, "bytes", false, "print sizes in bytes, and paths in full")
	return c
}

// A listing prints a plan for people: exact, or rounded so that lines fit a terminal.
type listing struct{ exact bool }

// columns is the assumed width of a terminal.
const columns = 80

// show prints a plan for people.
func (r *root) show(m *plan.Manifest, l listing) error {
	var b strings.Builder // writes to it never fail
	l.disk(&b, m)
	l.partitions(&b, m)
	l.largest(&b, m)
	l.bases(&b, m)
	l.inputs(&b, m)
	steps(&b, m.Steps)
	_, err := io.WriteString(r.stdout, b.String())
	return err
}

// showPending prints what is known when steps have to run first.
func (r *root) showPending(name string, list []plan.Step, asJSON bool) error {
	r.ui.clear()
	if asJSON {
		text, err := json.MarshalIndent(map[string]any{"name": name, "pending": true, "steps": list}, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(r.stdout, "%s\n", text)
		}
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the contents are known when all steps have run (imprint build, or plan --run-steps)\n", name)
	steps(&b, list)
	_, err := io.WriteString(r.stdout, b.String())
	return err
}

// steps prints a table of steps: whether they will run, and what those that have run have made.
func steps(b *strings.Builder, list []plan.Step) {
	if len(list) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nPARTITION\tSTEP\t\tID\tLAYER")
	for _, s := range list {
		state, id, layer := "will run", "-", "-"
		if s.Known {
			state, id, layer = "has run", s.ID[:12], strings.TrimPrefix(s.Layer, "sha256:")[:12]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", visible.Line(s.Partition), visible.Line(s.Name), state, id, layer)
	}
	t.Flush()
	for _, s := range list {
		for _, reason := range s.Why {
			fmt.Fprintf(b, "%s: %s\n", visible.Line(s.Name), visible.Line(reason))
		}
	}
}

// disk prints what concerns the whole disk.
func (l listing) disk(b *strings.Builder, m *plan.Manifest) {
	unit := ""
	if l.exact {
		unit = " bytes"
	}
	fmt.Fprintf(b, "%s: %s disk of %s%s%s, %s\n", m.Name, m.Format, upTo(m.SizeBound), l.size(m.Size), unit, units.Count(len(m.Items), "store item"))
	fmt.Fprintf(b, "sectors of %d bytes, epoch %d, seed %.16s…\n", m.SectorSize, m.Epoch, m.Seed)
	if m.Signature != "" {
		fmt.Fprintf(b, "MBR with disk signature %s\n\n", m.Signature)
	} else {
		fmt.Fprintf(b, "disk GUID %s\n\n", m.DiskGUID)
	}
}

// partitions prints a table of the partitions, and one of their identifiers; together they would be too wide.
func (l listing) partitions(b *strings.Builder, m *plan.Manifest) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NR\tNAME\tTYPE\tFILE SYSTEM\tOFFSET\tSIZE\tINODES\tFREE")
	for _, p := range m.Partitions {
		offset := "-" // in a file system that a host tool makes
		if p.Offset != nil {
			offset = upTo(p.Bound) + l.size(*p.Offset)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", entryNumber(p), visible.Line(p.Name), p.Type, p.Filesystem, offset, upTo(!p.Exact)+l.size(p.Size),
			orDash(p.Inodes, fmt.Sprint(p.Inodes)), orDash(p.FreeBytes, l.size(p.FreeBytes)))
	}
	t.Flush()
	fmt.Fprintln(t, "\nNR\tPARTUUID\tFILE SYSTEM UUID")
	for _, p := range m.Partitions {
		fmt.Fprintf(t, "%s\t%s\t%s\n", entryNumber(p), cmp.Or(p.PartUUID, "-"), cmp.Or(p.VolumeID, "-"))
	}
	t.Flush()
}

// entryNumber returns the number of a partition in the table.
func entryNumber(p plan.ManifestPartition) string {
	return orDash(int64(p.Number), fmt.Sprint(p.Number))
}

// largest prints the largest files and store items of each partition.
func (l listing) largest(b *strings.Builder, m *plan.Manifest) {
	for _, p := range m.Partitions {
		if len(p.Largest) > 0 {
			fmt.Fprintf(b, "\nlargest in %s:\n", visible.Line(p.Name))
		}
		for _, large := range p.Largest {
			fmt.Fprintf(b, "  %10s  %s\n", upTo(large.Bound)+l.size(large.Bytes), l.path(tree.Shown(large.Path)))
		}
	}
}

// bases prints what partitions begin with.
func (l listing) bases(b *strings.Builder, m *plan.Manifest) {
	for _, one := range m.Bases {
		fmt.Fprintf(b, "\nbase of %s: %s, %s\n", visible.Line(one.Partition), visible.Line(one.From), units.Count(one.Layers, "layer"))
	}
}

// inputs prints where the inputs are.
func (l listing) inputs(b *strings.Builder, m *plan.Manifest) {
	if len(m.Inputs) == 0 {
		return
	}
	fmt.Fprintln(b)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INPUT\tSHA-256\tSIZE\tFROM")
	for _, in := range m.Inputs {
		from, sum := in.From, in.SHA256
		switch {
		case from == "":
			from = "the build store"
		case in.Kept:
			from += " (kept)"
		}
		if !l.exact {
			sum = sum[:12] + "…"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", in.Name, sum, l.size(in.Size), visible.Line(from))
	}
	t.Flush()
}

// upTo marks an upper bound.
func upTo(bound bool) string {
	if bound {
		return "≤ "
	}
	return ""
}

// size formats a number of bytes.
func (l listing) size(n int64) string {
	if l.exact {
		return fmt.Sprint(n)
	}
	return units.FormatBytes(n)
}

// path formats a path. Unless the listing is exact, a path that does not fit the line is cut in the middle, since people recognise store
// paths by their ends.
func (l listing) path(path string) string {
	const room, begin = columns - 14, 20 // characters
	if n := utf8.RuneCountInString(path); !l.exact && n > room {
		runes := []rune(path)
		return string(runes[:begin]) + "…" + string(runes[n-room+begin+1:])
	}
	return path
}

// orDash formats a number; 0 is a dash, since the file system does not have it.
func orDash(n int64, text string) string {
	if n == 0 {
		return "-"
	}
	return text
}
