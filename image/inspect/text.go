package inspect

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// mostShown is the number of roots and of boot entries that the text lists for a region; JSON has all.
const mostShown = 10

// Text writes the report for people: a table of the regions, then the contents of each.
func (r *Report) Text(w io.Writer, name string) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "%s: %s, sectors of %d bytes, table %s %s\n\n", tree.Shown(name), units.FormatBytes(r.Size), r.SectorSize, orDash(r.Table), r.ID)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NR\tREGION\tTYPE\tFILE SYSTEM\tLABEL\tOFFSET\tSIZE\tFREE\tITEMS")
	for i := range r.Regions {
		fmt.Fprintln(table, r.Regions[i].row())
	}
	table.Flush()
	for i := range r.Regions {
		r.Regions[i].text(out)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return tree.Shown(text)
}

// row returns the region's row of the table.
func (d *Region) row() string {
	number, offset, label, free, items := "-", fmt.Sprint(d.Offset), "", "", ""
	if d.Number > 0 {
		number = fmt.Sprint(d.Number)
	}
	if d.In != "" {
		offset = "-"
	}
	if v := d.Volume; v != nil {
		label = v.Label
		if v.FreeBytes > 0 {
			free = units.FormatBytes(v.FreeBytes)
		}
	}
	for i, s := range d.Stores {
		if i > 0 {
			items += " + "
		}
		items += fmt.Sprint(s.Items)
	}
	return strings.Join([]string{
		number, tree.Shown(d.Shown), orDash(d.Type), orDash(d.Filesystem), orDash(label), offset, units.FormatBytes(d.Size), orDash(free), orDash(items),
	}, "\t")
}

// text writes the details that the table has no room for.
func (d *Region) text(out *strings.Builder) {
	head := fmt.Sprintf("\n%s\n", tree.Shown(d.Shown))
	line := func(format string, args ...any) {
		out.WriteString(head)
		head = ""
		fmt.Fprintf(out, "  "+format+"\n", args...)
	}
	if d.PartUUID != "" {
		line("PARTUUID %s", d.PartUUID)
	}
	if d.Error != "" {
		line("error: %s", tree.Shown(d.Error))
	}
	if d.Volume != nil {
		d.Volume.text(line)
	}
	for _, e := range d.Boot[:min(len(d.Boot), mostShown)] {
		e.text(line)
	}
	if more := len(d.Boot) - mostShown; more > 0 {
		line("and %d more boot entries", more)
	}
	for _, s := range d.Stores {
		s.text(line)
	}
	if d.Deep != nil {
		d.Deep.text(line)
	}
}

type printf func(format string, args ...any)

func (v *Volume) text(line printf) {
	if v.ID != "" {
		line("UUID %s", tree.Shown(v.ID))
	}
	if len(v.Features) > 0 {
		line("features %s", tree.Shown(strings.Join(v.Features, " ")))
	}
	if v.NeedsReplay {
		line("the journal holds changes that are not shown here: it was not unmounted")
	}
	if v.BlockSize > 0 {
		text := fmt.Sprintf("blocks of %d bytes, %d bytes free", v.BlockSize, v.FreeBytes)
		if v.Inodes > 0 {
			text += fmt.Sprintf(", %d of %d inodes free", v.FreeInodes, v.Inodes)
		}
		line("%s", text)
	}
}

func (e BootEntry) text(line printf) {
	line("boot entry %q in %s", e.Title, tree.Shown(e.File))
	for _, field := range []struct{ name, value string }{
		{"version", e.Version}, {"loader", e.Loader}, {"kernel", e.Kernel}, {"initrd", strings.Join(e.Initrd, " ")}, {"device tree", e.DeviceTree}, {"options", e.Cmdline},
	} {
		if field.value != "" {
			line("  %-8s %s", field.name, tree.Shown(field.value))
		}
	}
}

func (s *Store) text(line printf) {
	line("store %s: %s, %s", s.Dir, units.Count(s.Items, "item"), units.FormatBytes(s.Bytes))
	for _, r := range s.Roots[:min(len(s.Roots), mostShown)] {
		if r.Error != "" {
			line("  root %s: %s", tree.Shown(r.At), tree.Shown(r.Error))
			continue
		}
		line("  root %s: %s, %s with %s", tree.Shown(r.At), r.Item, units.FormatBytes(r.Closure), units.Count(r.Items, "item"))
	}
	if more := len(s.Roots) - mostShown; more > 0 {
		line("  and %d more roots", more)
	}
	if len(s.Largest) > 0 {
		line("  the largest items, and with all that they refer to:")
	}
	for _, i := range s.Largest {
		line("  %10s %10s  %s", units.FormatBytes(i.Bytes), units.FormatBytes(i.Closure), i.Path)
	}
}

func (d *Deep) text(line printf) {
	line("%s in %s, %d of them in one", units.Count(d.Files, "file"), units.Count(d.Pieces, "piece"), d.Whole)
	for _, f := range d.Fragmented {
		line("  %6d pieces  %s", f.Pieces, tree.Shown(f.Path))
	}
	if d.Duplicates > 0 {
		line("hard links in place of %s would save %s", units.Count(d.Duplicates, "duplicate"), units.FormatBytes(d.Saved))
	}
	if d.Unreadable > 0 {
		line("%s could not be read", units.Count(d.Unreadable, "file"))
	}
}
