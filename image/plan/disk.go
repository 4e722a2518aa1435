package plan

import (
	"fmt"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/image/gpt"
	"imprint/image/mbr"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// disk completes the layout once every region has an offset: files that are regions get their place on the disk, the size
// follows from where the last region ends, and the partition table, boot code and raw contents are laid out around the
// regions.
func (l *layouter) disk() (*Layout, error) {
	p := l.plan
	d := &Layout{}
	for _, part := range p.Partitions {
		d.Regions = append(d.Regions, l.regions[part])
	}
	for _, r := range d.Regions {
		if r.In != nil {
			r.file()
		}
	}
	var err error
	if d.Size, err = l.size(); err != nil {
		return nil, err
	}
	if err := p.tabulate(d); err != nil {
		return nil, err
	}
	return d, p.placeRaw(d)
}

// tabulate lays out the partition table and the boot code in the first sector. The code comes before the table in the list,
// but they share that sector: an MBR's entries, protective or not, begin after the 440 or so bytes that boot code may use.
func (p *Plan) tabulate(l *Layout) error {
	var list extent.List
	var err error
	if p.Table == partition.MBR {
		list, err = p.mbrTable(l).Extents()
	} else {
		list, err = p.gptTable(l).Extents()
	}
	if err != nil {
		return diag.List{p.Key.Problem(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "gpt: "), "mbr: "), "")}.Err()
	}
	l.Table = append(p.codeExtents(l), list...)
	return nil
}

// backupSize is the number of bytes that the partition table takes at the end of the disk: a GPT has a second copy there.
func (p *Plan) backupSize() int64 {
	if p.Table == partition.MBR {
		return 0
	}
	return gpt.BackupSize(p.SectorSize)
}

// tableEnd is the offset after the partition table at the front of the disk, in bytes.
func (p *Plan) tableEnd() int64 {
	if p.Table == partition.MBR {
		return mbr.Size
	}
	return gpt.Table{SectorSize: p.SectorSize, EntriesAt: p.EntriesAt / p.SectorSize}.FirstUsable() * p.SectorSize
}

// gptTable returns the GPT. An ISO's own partition starts after the system area (lead), although its file system begins at
// offset 0: the table itself lies in the system area, and a partition must not cover it.
func (p *Plan) gptTable(l *Layout) gpt.Table {
	t := gpt.Table{
		DiskGUID: p.DiskGUID, SectorSize: p.SectorSize, Sectors: l.Size / p.SectorSize, EntriesAt: p.EntriesAt / p.SectorSize, Active: p.MBRActive,
		Partitions: make([]gpt.Partition, l.highest()),
	}
	for _, r := range l.entries() {
		t.Partitions[r.Partition.Number-1] = gpt.Partition{
			Name: r.Partition.PartLabel, Type: r.Partition.TypeGUID, UUID: r.Partition.PartUUID, Attributes: r.Partition.Attributes,
			Start: (r.Offset + r.lead) / p.SectorSize, Sectors: (r.Size - r.lead) / p.SectorSize, MBRType: r.Partition.MBRType,
		}
	}
	return t
}

// mbrTable returns the MBR, which has no names, UUIDs or attributes, but marks one partition as active.
func (p *Plan) mbrTable(l *Layout) mbr.Table {
	t := mbr.Table{
		Signature: p.Signature, SectorSize: p.SectorSize, Sectors: l.Size / p.SectorSize, Partitions: make([]mbr.Partition, l.highest()),
	}
	for _, r := range l.entries() {
		t.Partitions[r.Partition.Number-1] = mbr.Partition{
			Type: r.Partition.MBRType, Active: r.Partition.Active, Start: r.Offset / p.SectorSize, Sectors: r.Size / p.SectorSize,
		}
	}
	return t
}

// entries returns the regions that have an entry in the partition table, in the order of the description. That is not always
// their order on the disk: partition numbers must stay what the description says wherever a partition lies.
func (l *Layout) entries() []*Region {
	return slices.DeleteFunc(slices.Clone(l.Regions), func(r *Region) bool { return r.In != nil })
}

// highest returns the highest number of a partition.
func (l *Layout) highest() (n int) {
	for _, r := range l.Regions {
		n = max(n, r.Partition.Number)
	}
	return n
}

// codeExtents returns the boot loader's code for the first sector, linked: the number of the sector that it loads next is
// known only now.
func (p *Plan) codeExtents(l *Layout) extent.List {
	var code []byte
	switch {
	case p.ElTorito != nil:
		code = p.ElTorito.Hybrid.Linked(p.elToritoOffset(l) / bootloader.BIOSSector)
	case p.BootCode != nil:
		code = p.BootCode.Linked(p.codeTarget(l) / bootloader.BIOSSector)
	default:
		return nil
	}
	b := tree.Text(string(code))
	return extent.List{{Len: b.Size(), Blob: b, Meta: true}}
}

// codeTarget returns the offset of what the code in the first sector loads: a BIOS boot partition, or raw content in the gap
// after an MBR.
func (p *Plan) codeTarget(l *Layout) int64 {
	for _, r := range l.Regions {
		if r.Partition.Code != nil {
			return r.Offset
		}
	}
	for _, raw := range p.Raw {
		if raw.Loader {
			return raw.Offset
		}
	}
	return 0
}

// elToritoOffset returns the offset of the El Torito boot image. A BIOS that starts the ISO from a USB stick runs the code in
// the first sector instead, which loads the same program.
func (p *Plan) elToritoOffset(l *Layout) int64 {
	for _, r := range l.Regions {
		if !r.Partition.filesystem().WholeDisk {
			continue
		}
		if parts := r.Place(nil, r.Tree.Find(p.ElTorito.Path)); len(parts) > 0 {
			return parts[0].Off
		}
	}
	return 0
}

// placeRaw lays out the contents outside of all partitions, and reports those that overlap the partition table, a partition or
// each other. Only data is laid out: the holes of a sparse source stay holes.
func (p *Plan) placeRaw(l *Layout) error {
	var problems diag.List
	taken := append(p.tableSpans(), span{l.Size - p.backupSize(), l.Size, "the backup of the partition table"})
	for _, r := range l.entries() {
		taken = append(taken, span{r.Offset + r.lead, r.Offset + r.Size, fmt.Sprintf("partition %q", r.Partition.Spec.Name)})
	}
	for _, raw := range p.Raw {
		here := span{raw.Offset, raw.Offset + raw.Content.Size(), raw.Name}
		if i := slices.IndexFunc(taken, here.overlaps); i >= 0 {
			problems = append(problems, raw.Key.Problem(here.conflict(taken[i]), p.rawHint(here, taken[i], l)))
			continue
		}
		taken = append(taken, here)
		for _, d := range tree.DataOf(raw.Content) {
			l.Raw = append(l.Raw, extent.Extent{Off: raw.Offset + d.Off, Len: d.Len, Blob: raw.Content, At: d.Off})
		}
	}
	if err := problems.Err(); err != nil {
		return err
	}
	l.outside = slices.Concat(l.Table, l.Raw)
	return l.outside.Sort(l.Size)
}

// tableSpans returns where the partition table lies at the front: with entries that have moved, in two places.
func (p *Plan) tableSpans() []span {
	if p.EntriesAt == 0 || p.Table == partition.MBR {
		return []span{{0, p.tableEnd(), "the partition table"}}
	}
	return []span{{0, 2 * p.SectorSize, "the header of the partition table"}, {p.EntriesAt, p.tableEnd(), "the entries of the partition table"}}
}

// entriesGrain aligns the offset of entries that a hint suggests.
const entriesGrain = 4 * units.KiB

// rawHint suggests how to resolve an overlap. Firmware usually must lie at a fixed offset, so a partition moves out of its
// way; but the table cannot move, so what overlaps it has to.
func (p *Plan) rawHint(raw, other span, l *Layout) string {
	for _, r := range l.entries() {
		if raw.overlaps(span{r.Offset, r.Offset + r.Size, ""}) {
			return fmt.Sprintf("let partition %q begin after it, at %d", r.Partition.Spec.Name, units.Align(raw.end, units.Grain))
		}
	}
	hint := fmt.Sprintf("there is room from byte %d on", units.Align(other.end, p.SectorSize))
	switch {
	case p.Table == partition.MBR:
	case p.EntriesAt != 0 && other.start == p.EntriesAt:
		hint += fmt.Sprintf("; or write entries-offset = %d", units.Align(raw.end, entriesGrain))
	case p.EntriesAt == 0 && other.start == 0:
		hint += fmt.Sprintf("; with entries-offset = %d from byte %d on, with table = \"mbr\" from byte %d on",
			units.Align(max(raw.end, other.end), entriesGrain), 2*p.SectorSize, p.SectorSize)
	}
	return hint
}

// rawEnd is the offset after the last content outside of partitions. The disk has to hold it even if no partition does.
func (p *Plan) rawEnd() (end int64) {
	for _, raw := range p.Raw {
		end = max(end, raw.Offset+raw.Content.Size())
	}
	return end
}

// A span is a range of the disk in bytes, without its end, and what is there.
type span struct {
	start, end int64
	name       string
}

func (s span) overlaps(t span) bool { return s.start < t.end && t.start < s.end }

func (s span) conflict(t span) string {
	return fmt.Sprintf("%s takes bytes %d to %d of the disk, and %s bytes %d to %d", s.name, s.start, s.end-1, t.name, t.start, t.end-1)
}
