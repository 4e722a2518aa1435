package gpt

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"imprint/internal/repro"
)

// Check reports why a table would not be valid on a disk of that size: partitions that overlap, leave the disk or cover the
// table, identifiers that are zero or not unique, too many partitions, names that are too long. It does not check alignment.
func (t Table) Check() error {
	if err := t.checkDisk(); err != nil {
		return fmt.Errorf("gpt: %v", err)
	}
	switch {
	case t.DiskGUID == repro.UUID{}:
		return fmt.Errorf("gpt: disk GUID is zero")
	case len(t.Partitions) > MaxPartitions:
		return fmt.Errorf("gpt: %d partitions, the table has %d entries", len(t.Partitions), MaxPartitions)
	}
	owner := map[repro.UUID]string{t.DiskGUID: "the disk"}
	for i, p := range t.Partitions {
		if p == (Partition{}) {
			continue
		}
		if err := t.checkPartition(p); err != nil {
			return fmt.Errorf("gpt: %s: %v", t.label(i), err)
		}
		if other, ok := owner[p.UUID]; ok {
			return fmt.Errorf("gpt: %s: UUID %v is also that of %s", t.label(i), p.UUID, other)
		}
		owner[p.UUID] = t.label(i)
	}
	if err := t.checkHybrid(); err != nil {
		return err
	}
	return t.checkOverlap()
}

// label names partition i, counted from 0, in messages, which count from 1.
func (t Table) label(i int) string {
	if name := t.Partitions[i].Name; name != "" {
		return fmt.Sprintf("partition %d (%q)", i+1, name)
	}
	return fmt.Sprintf("partition %d", i+1)
}

func (t Table) checkDisk() error {
	if t.SectorSize != 512 && t.SectorSize != 4096 {
		return fmt.Errorf("sectors of %d bytes, want 512 or 4096", t.SectorSize)
	}
	if t.EntriesAt < 0 || t.EntriesAt == 1 || t.EntriesAt > math.MaxInt64/t.SectorSize-arraySize {
		return fmt.Errorf("entries from sector %d on, the first possible is %d", t.EntriesAt, afterHeader)
	}
	least := t.FirstUsable() + 1 + BackupSize(t.SectorSize)/t.SectorSize
	switch {
	case t.Sectors < least:
		return fmt.Errorf("disk of %d sectors of %d bytes is too small: a table and one partition need %d", t.Sectors, t.SectorSize, least)
	case t.Sectors > math.MaxInt64/t.SectorSize:
		return fmt.Errorf("disk of %d sectors of %d bytes is too large: the most is %d", t.Sectors, t.SectorSize, math.MaxInt64/t.SectorSize)
	}
	return nil
}

func (t Table) checkPartition(p Partition) error {
	first, last := t.FirstUsable(), t.lastUsable()
	switch {
	case p.Type == repro.UUID{}:
		return fmt.Errorf("type GUID is zero, which marks an unused entry")
	case p.UUID == repro.UUID{}:
		return fmt.Errorf("UUID is zero")
	case p.Sectors < 1:
		return fmt.Errorf("%d sectors", p.Sectors)
	case p.Start < first:
		return fmt.Errorf("starts at sector %d, but the first usable sector is %d", p.Start, first)
	case p.Start > last || p.Sectors > last-p.Start+1:
		return fmt.Errorf("has %d sectors from sector %d, but the last usable sector is %d", p.Sectors, p.Start, last)
	}
	return checkName(p.Name)
}

func checkName(name string) error {
	if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return fmt.Errorf("name %q is not UTF-8 or contains a NUL", name)
	}
	if n := len(utf16.Encode([]rune(name))); n > maxNameUnits {
		return fmt.Errorf("name has %d UTF-16 units, but an entry holds %d", n, maxNameUnits)
	}
	return nil
}

// checkOverlap compares each partition with the next one in the order of the disk.
func (t Table) checkOverlap() error {
	var order []int
	for i, p := range t.Partitions {
		if p.Sectors > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(t.Partitions[a].Start, t.Partitions[b].Start) })
	for i := 1; i < len(order); i++ {
		below, above := t.Partitions[order[i-1]], t.Partitions[order[i]]
		if end := below.Start + below.Sectors; end > above.Start {
			return fmt.Errorf("gpt: %s starts at sector %d, where %s has sectors %d to %d",
				t.label(order[i]), above.Start, t.label(order[i-1]), below.Start, end-1)
		}
	}
	return nil
}
