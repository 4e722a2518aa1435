package description

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"

	"imprint/image/description/language"
	"imprint/image/mbr"
	"imprint/internal/diag"
	"imprint/internal/units"
	"imprint/partition"
)

// entriesSize is what the entries of a GPT take, in bytes (UEFI 2.10, 5.3.1).
const entriesSize = 16 * units.KiB

// maxHybrid is the number of partitions that a hybrid MBR has room for, beside the one that protects the GPT.
const maxHybrid = mbr.MaxPartitions - 1

// size checks the size of the disk, and where its table lies.
func (c *checker) size() {
	d := c.d
	for _, s := range []Value[Size]{d.Size, d.Multiple, d.EntriesAt} {
		switch n, sector := s.V.Bytes, c.sector(); {
		case !s.Written():
		case s.V.Auto:
			c.Report(s.Key, `"auto" is only for the size of a partition`, "remove it")
		case n == 0:
			c.Report(s.Key, "is 0 bytes", "")
		case n%sector != 0:
			c.Report(s.Key, fmt.Sprintf("%d bytes is not a multiple of the sector size, %d", n, sector), fmt.Sprintf("use %d", units.Align(n, sector)))
		}
	}
	if n, of := d.Size.V.Bytes, d.Multiple.V.Bytes; n > 0 && of > 0 && n%of != 0 {
		c.Report(d.Size.Key, fmt.Sprintf("%d is not a multiple of size-multiple, %d", n, of), fmt.Sprintf("use %d", units.Align(n, of)))
	}
	if n, least := d.EntriesAt.V.Bytes, 2*c.sector(); n > 0 && n < least {
		c.Report(d.EntriesAt.Key, fmt.Sprintf("%d is in the MBR or the header, which take the first %d bytes", n, least), fmt.Sprintf("use %d or more", least))
	}
	c.withoutMBR(d.EntriesAt.Key, d.MBRActive.Key)
}

// tableEnd is the number of bytes at the front of the disk that the partition table takes.
func (c *checker) tableEnd() int64 {
	if c.d.table() == partition.MBR {
		return c.sector()
	}
	return cmp.Or(c.d.EntriesAt.V.Bytes, 2*c.sector()) + entriesSize
}

// entries checks what the partition table says of the partitions besides where they lie.
func (c *checker) entries() {
	numbers, shared := map[int64]string{}, 0
	for i := range c.d.Partition.Items {
		p := &c.d.Partition.Items[i]
		c.partLabel(p)
		if p.Inside.Written() {
			continue
		}
		c.entryNumber(p, numbers)
		c.verity(p)
		c.grow(p)
		c.growAtBoot(p, i)
		if p.MBRType.Written() {
			shared++
			c.mbrType(p, shared)
		}
	}
	if k := c.d.Table.Key; c.d.isHybrid() && shared == 0 {
		c.Report(k, "is hybrid, but no partition is in the MBR", "add mbr-type = \"0x0c\", for example, to the partition that firmware has to find there")
	}
}

// partLabel checks the name in a GPT entry.
func (c *checker) partLabel(p *Partition) {
	c.withoutMBR(p.PartLabel.Key)
	label := p.PartLabel
	if !label.Written() {
		label = p.Name
	}
	if n := len(utf16.Encode([]rune(label.V))); n > maxPartitionName {
		c.Report(label.Key, fmt.Sprintf("is %d UTF-16 units long, but a GPT entry holds %d", n, maxPartitionName), "")
	}
}

// entryNumber checks the number of a partition. taken maps numbers to the keys that have them.
func (c *checker) entryNumber(p *Partition, taken map[int64]string) {
	k, n := p.Number.Key, p.Number.V
	switch first := taken[n]; {
	case !k.Written || c.Reported(k.Path):
	case c.d.isISO():
		c.Report(k, fmt.Sprintf("does not go with format = %q", FormatISO), "remove it")
	case n < 1:
		c.Report(k, "is 0, but partitions are numbered from 1 on", "")
	case c.d.table() == partition.MBR && n > mbr.MaxPartitions:
		c.Report(k, fmt.Sprintf("is %d, but an MBR has %d entries", n, mbr.MaxPartitions), fmt.Sprintf("write table = %q", partition.GPT))
	case first != "":
		c.Report(k, fmt.Sprintf("the number %d is already used by %s", n, first), "")
	default:
		taken[n] = k.Path
	}
}

// grow checks a partition that takes the rest of the disk.
func (c *checker) grow(p *Partition) {
	switch k := p.Grow.Key; {
	case !p.Grow.V:
	case c.d.isISO():
		c.Report(k, fmt.Sprintf("does not go with format = %q", FormatISO), "remove it")
	case p.Size.Written() && !p.Size.V.Auto:
		c.Report(k, fmt.Sprintf("is for size = \"auto\", but the size is %d bytes", p.Size.V.Bytes), "write min-size instead of size")
	case !c.d.Size.Written() && !c.d.Multiple.Written():
		c.Report(k, "has no effect: the disk is as large as the partitions need", `add size = "8GiB" at the top, for example, or size-multiple`)
	}
}

// growAtBoot checks a partition that the running system enlarges, the one at an index.
func (c *checker) growAtBoot(p *Partition, at int) {
	k, root := p.GrowAtBoot.Key, c.root
	if !p.GrowAtBoot.V {
		return
	}
	c.withoutMBR(k)
	later := slices.IndexFunc(c.d.Partition.Items[at+1:], func(q Partition) bool { return !q.Inside.Written() })
	switch text, hint := meaningless(p, partition.FlagGrowFS); {
	case c.Reported(k.Path):
	case c.d.isISO():
		c.Report(k, fmt.Sprintf("does not go with format = %q", FormatISO), "remove it")
	case text != "":
		c.Report(k, text, hint)
	case later >= 0:
		c.Report(k, fmt.Sprintf("is for the last partition, but %s is after it", c.d.Partition.Items[at+1+later].Key.Path), "move the partition to the end")
	case root == nil || !keepsOwners(root):
		c.Report(k, "no partition is mounted as root, where systemd-repart finds its definition", `add flags = ["growfs"] instead, and the definition to what mounts it`)
	}
}

// keepsOwners reports whether the file system of a partition is fit for a system.
func keepsOwners(p *Partition) bool {
	row := partition.Named(p.Filesystem.V)
	return row != nil && row.Owners
}

// hashed returns the partition whose hash tree a partition gets, nil if there is none.
func (c *checker) hashed(p *Partition) *Partition {
	for i := range c.d.Partition.Items {
		if q := &c.d.Partition.Items[i]; q.Verity.V != "" && q.Verity.V == p.Name.V {
			return q
		}
	}
	return nil
}

// verity checks the partition that gets the hash tree of this one.
func (c *checker) verity(p *Partition) {
	k, row := p.Verity.Key, partition.Named(p.Filesystem.V)
	if p.Verity.V == "" || row == nil {
		return
	}
	c.withoutMBR(k)
	target := c.partitions[p.Verity.V]
	switch {
	case c.Reported(k.Path):
	case c.d.isISO():
		c.Report(k, fmt.Sprintf("does not go with format = %q", FormatISO), "remove it")
	case row.Swap:
		c.refuse(row, k, "")
	case target == nil:
		if err := c.absent("partition", p.Verity.V, c.partitionNames); err != nil {
			c.ReportError(k, err)
		}
	case target == p:
		c.Report(k, "names the partition itself", "add another one for the hash tree")
	case target.Inside.Written() || target.Content.Written() || !slices.Contains(language.FilesystemsThat(language.AreRaw), target.Filesystem.V):
		c.Report(k, fmt.Sprintf("partition %q is not empty", target.Name.V), "write filesystem = "+language.Alternatives(language.FilesystemsThat(language.AreRaw))+" there, without content")
	case c.hashed(target) != p:
		c.Report(k, fmt.Sprintf("partition %q gets the hash tree of %q already", target.Name.V, c.hashed(target).Name.V), "")
	case !partition.IsVerityOf(target.Type.V, p.Type.V):
		c.Report(target.Type.Key, fmt.Sprintf("is %q, but the partition gets the hash tree of one of type %q", target.Type.V, p.Type.V),
			`write a type such as "root-verity"`)
	}
}

// mbrType checks the type of a partition in a hybrid MBR, of which it is the nth.
func (c *checker) mbrType(p *Partition, nth int) {
	k := p.MBRType.Key
	n, err := partition.MBRType(p.MBRType.V)
	if err == nil {
		err = mbr.CheckType(n)
	}
	switch row := partition.Named(p.Filesystem.V); {
	case !c.d.isHybrid():
		c.Report(k, fmt.Sprintf("is for table = %q", partition.HybridMBR), "remove it, or write that")
	case nth > maxHybrid:
		c.Report(k, fmt.Sprintf("is for the partition number %d in the MBR, but it has room for %d", nth, maxHybrid), "remove it")
	case c.Reported(k.Path):
	case err != nil:
		c.ReportError(k, err)
	case row != nil && partition.IsFATType(p.MBRType.V) && !row.Raw && !row.Firmware:
		c.Report(k, fmt.Sprintf("%s is a FAT type, but the file system is %q", p.MBRType.V, row.Name), `write mbr-type = "0x83"`)
	}
}

// width checks the bits of an entry of a FAT against the types that promise some.
func (c *checker) width(row *partition.Filesystem, p *Partition) {
	if !row.Widths {
		c.refuse(row, p.FAT.Key, "it is for filesystem = "+language.Alternatives(language.FilesystemsThat(language.HaveWidths)))
		return
	}
	for _, kind := range []Text{c.typeInMBR(p), p.MBRType} {
		var m diag.Mistake
		if err := partition.CheckFATType(kind.V, int(p.FAT.V)); p.FAT.V != 0 && errors.As(err, &m) {
			c.Report(p.FAT.Key, m.Text, "remove it, or change "+kind.Key.Path)
		}
	}
}

// typeInMBR returns the type of a partition if the table is an MBR.
func (c *checker) typeInMBR(p *Partition) Text {
	if c.d.table() == partition.MBR {
		return p.Type
	}
	return Text{}
}

// FATBits returns the bits of an entry of a FAT that the type of a partition in an MBR implies, 0 if it implies none.
func (d *Image) FATBits(p *Partition) int {
	if row := partition.Named(p.Filesystem.V); row == nil || !row.Widths {
		return 0
	}
	kind := p.MBRType.V
	if d.table() == partition.MBR {
		kind = p.Type.V
	}
	return partition.FATBits(kind)
}

// Numbers returns the number of each partition in the partition table; 0 for one that is inside another.
func (d *Image) Numbers() []int {
	numbers, taken := make([]int, len(d.Partition.Items)), map[int]bool{}
	for i, p := range d.Partition.Items {
		if !p.Inside.Written() {
			numbers[i] = int(p.Number.V)
			taken[numbers[i]] = true
		}
	}
	next := 1
	for i, p := range d.Partition.Items {
		if p.Inside.Written() || numbers[i] != 0 {
			continue
		}
		for taken[next] {
			next++
		}
		numbers[i], taken[next] = next, true
	}
	return numbers
}

// HasVerity reports whether a partition has a hash tree in another one.
func (d *Image) HasVerity() bool {
	return slices.ContainsFunc(d.Partition.Items, func(p Partition) bool { return p.Verity.V != "" })
}

// isHybrid reports whether some partitions of the GPT are in the MBR too.
func (d *Image) isHybrid() bool { return d.Table.V == partition.HybridMBR }
