package plan

import (
	"fmt"
	"slices"

	"imprint/internal/diag"
	"imprint/internal/units"
	"imprint/internal/verity"
)

// size returns the size of the disk in bytes: what the partitions need, or what the description says. While a size is an upper bound,
// since a host tool has yet to pack a file system, the disk may be larger than it says.
func (l *layouter) size() (int64, error) {
	p := l.plan
	need := max(l.last, units.Grain, p.rawEnd()) + p.backupSize()
	natural := units.Align(need, units.Grain)
	switch {
	case p.Size >= need:
		return p.Size, nil
	case p.Size > 0 && l.bounds():
		return natural, nil
	case p.Size > 0:
		return 0, diag.List{p.SizeKey.Problem(fmt.Sprintf("%s (%d bytes) is smaller than the partitions and the table, which need %s (%d bytes)",
			units.FormatBytes(p.Size), p.Size, units.FormatBytes(need), need), fmt.Sprintf("use at least %d", natural))}.Err()
	case p.Multiple > 0:
		return units.Align(need, p.Multiple), nil
	}
	return natural, nil
}

// bounds reports whether the size of a region is an upper bound.
func (l *layouter) bounds() bool {
	whole := &Layout{}
	for _, r := range l.regions {
		whole.Regions = append(whole.Regions, r)
	}
	return slices.ContainsFunc(whole.Regions, func(r *Region) bool { return !whole.exact(r) })
}

// rest returns the partition that takes the rest of the disk, and its size with that in bytes; nil if there is none. What follows it moves
// as far back as the disk, or the next partition with an offset of its own, allows.
func (l *layouter) rest() (*Partition, int64) {
	list := l.onDisk()
	at := -1
	for i, part := range list {
		if part.Grow {
			at = i
		}
	}
	if at < 0 {
		return nil, 0
	}
	disk, err := l.size()
	if err != nil {
		return nil, 0 // reported when the disk is laid out
	}
	limit := disk - l.plan.backupSize()
	for _, next := range slices.Backward(list[at+1:]) {
		if next.Offset != 0 {
			limit = next.Offset
			continue
		}
		limit = (limit - l.regions[next].Size) / next.Align * next.Align
	}
	r := l.regions[list[at]]
	limit -= l.moreHashes(list[at], limit-r.Offset)
	return list[at], max(r.Size, (limit-r.Offset)/units.Grain*units.Grain)
}

// moreHashes returns the bytes by which the hash tree of a partition grows if that has up to size bytes.
func (l *layouter) moreHashes(part *Partition, size int64) int64 {
	hashes := l.plan.Find(part.Verity)
	if hashes == nil || hashes.Spec.Size != 0 || size <= 0 {
		return 0
	}
	return max(0, hashes.regionSize(verity.DeviceSize(size), l.plan.SectorSize)-l.regions[hashes].Size)
}
