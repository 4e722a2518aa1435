package image

import (
	"fmt"
	"slices"
	"strings"

	"imprint/image/gpt"
	"imprint/image/mbr"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// tabulate writes the partition table around the regions, and boot code before it.
func (p *Plan) tabulate(l *Layout) error {
	var list extent.List
	var err error
	if p.Table == tableMBR {
		list, err = p.mbrTable(l).Extents()
	} else {
		list, err = p.gptTable(l).Extents()
	}
	if err != nil {
		return p.tableProblem(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "gpt: "), "mbr: "))
	}
	l.table = append(p.codeExtents(l), list...)
	return nil
}

func (p *Plan) tableProblem(text string) error {
	return diag.List{{Place: p.place("partition"), Key: "partition", Text: text}}.Err()
}

// backupSize is what the partition table takes at the end of the disk, in bytes.
func (p *Plan) backupSize() int64 {
	if p.Table == tableMBR {
		return 0
	}
	return gpt.BackupSize(p.SectorSize)
}

// tableEnd is where the partition table at the front of the disk ends, in bytes.
func (p *Plan) tableEnd() int64 {
	if p.Table == tableMBR {
		return mbr.Size
	}
	return gpt.FirstUsable(p.SectorSize) * p.SectorSize
}

func (p *Plan) gptTable(l *Layout) gpt.Table {
	t := gpt.Table{DiskGUID: p.DiskGUID, SectorSize: p.SectorSize, Sectors: l.Size / p.SectorSize}
	for _, r := range l.Regions {
		t.Partitions = append(t.Partitions, gpt.Partition{
			Name: r.Partition.Spec.Name, Type: r.Partition.TypeGUID, UUID: r.Partition.PartUUID, Attributes: r.Partition.Attributes,
			Start: r.Offset / p.SectorSize, Sectors: r.Size / p.SectorSize,
		})
	}
	return t
}

func (p *Plan) mbrTable(l *Layout) mbr.Table {
	t := mbr.Table{Signature: p.Signature, SectorSize: p.SectorSize, Sectors: l.Size / p.SectorSize}
	for _, r := range l.Regions {
		t.Partitions = append(t.Partitions, mbr.Partition{
			Type: r.Partition.MBRType, Active: r.Partition.Active, Start: r.Offset / p.SectorSize, Sectors: r.Size / p.SectorSize,
		})
	}
	return t
}

// codeExtents are the loader's code in the first sector.
func (p *Plan) codeExtents(l *Layout) extent.List {
	if p.bootCode == nil {
		return nil
	}
	b := tree.Text(string(p.bootCode.Linked(p.codeTarget(l) / biosSector)))
	return extent.List{{Len: b.Size(), Blob: b, Meta: true}}
}

// codeTarget is where the content begins that the code in the first sector loads, in bytes.
func (p *Plan) codeTarget(l *Layout) int64 {
	for _, r := range l.Regions {
		if r.Partition.code != nil {
			return r.Offset
		}
	}
	for _, raw := range p.Raw {
		if raw.Key == "boot.loader" {
			return raw.Offset
		}
	}
	return 0
}

// placeRaw puts what lies outside of all partitions to where it belongs, unless something else is there.
func (p *Plan) placeRaw(l *Layout) error {
	var problems diag.List
	taken := []span{{0, p.tableEnd(), "the partition table"}, {l.Size - p.backupSize(), l.Size, "the backup of the partition table"}}
	for _, r := range l.Regions {
		taken = append(taken, span{r.Offset, r.Offset + r.Size, fmt.Sprintf("partition %q", r.Partition.Spec.Name)})
	}
	for _, raw := range p.Raw {
		here := span{raw.Offset, raw.Offset + raw.Content.Size(), raw.Name}
		if i := slices.IndexFunc(taken, here.overlaps); i >= 0 {
			problems = append(problems, diag.Problem{Place: p.place(raw.Key), Key: raw.Key, Text: here.conflict(taken[i]), Hint: p.rawHint(here, taken[i], l)})
			continue
		}
		taken = append(taken, here)
		for _, d := range tree.DataOf(raw.Content) {
			l.raw = append(l.raw, extent.Extent{Off: raw.Offset + d.Off, Len: d.Len, Blob: raw.Content, At: d.Off})
		}
	}
	if err := problems.Err(); err != nil {
		return err
	}
	l.outside = slices.Concat(l.table, l.raw)
	return l.outside.Sort(l.Size)
}

// rawHint tells where there is room for raw content that lies over something else: behind it, if it is not a partition that has to go.
func (p *Plan) rawHint(raw, other span, l *Layout) string {
	for _, r := range l.Regions {
		if raw.overlaps(span{r.Offset, r.Offset + r.Size, ""}) {
			return fmt.Sprintf("let partition %q begin behind it, at %d", r.Partition.Spec.Name, units.Align(raw.end, Grain))
		}
	}
	hint := fmt.Sprintf("from byte %d on there is room", units.Align(other.end, p.SectorSize))
	if other.start == 0 && p.Table != tableMBR {
		hint += fmt.Sprintf("; with table = \"mbr\" from byte %d on", p.SectorSize)
	}
	return hint
}

// rawEnd is where the last of the contents outside of partitions ends.
func (p *Plan) rawEnd() (end int64) {
	for _, raw := range p.Raw {
		end = max(end, raw.Offset+raw.Content.Size())
	}
	return end
}

// A span is a part of the disk, in bytes.
type span struct {
	start, end int64
	name       string
}

func (s span) overlaps(t span) bool { return s.start < t.end && t.start < s.end }

func (s span) conflict(t span) string {
	return fmt.Sprintf("%s takes bytes %d to %d of the disk, and %s bytes %d to %d", s.name, s.start, s.end-1, t.name, t.start, t.end-1)
}
