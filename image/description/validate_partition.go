package description

import (
	"fmt"
	"slices"
	"strings"

	"imprint/image/description/language"
	"imprint/image/mbr"
	"imprint/internal/diag"
	"imprint/internal/keyed"
	"imprint/internal/units"
	"imprint/partition"
)

// maxPartitionName bounds the name in an entry of a GPT, in UTF-16 units (UEFI 2.10, table 5.8).
const maxPartitionName = 36

// allPartitions checks every partition, and what must be unique among them.
func (c *checker) allPartitions() {
	c.number()
	names, uuids, partuuids := unique{}, unique{}, unique{strings.ToLower(c.d.UUID.V): "uuid"}
	for i := range c.d.Partition.Items {
		p := &c.d.Partition.Items[i]
		c.unique(names, p.Name.Key, p.Name.V, "the name")
		c.unique(uuids, p.UUID.Key, strings.ToLower(p.UUID.V), "the UUID")
		c.unique(partuuids, p.PartUUID.Key, strings.ToLower(p.PartUUID.V), "the partition UUID")
		c.filesystem(p)
		if p.Inside.Written() {
			c.isFile(p)
			continue
		}
		c.partitionType(p)
		c.purpose(p)
		c.uuid(p.PartUUID)
		c.withoutMBR(p.PartUUID.Key, p.Flags.Key)
		c.geometry(p)
		c.flags(p)
	}
	c.entries()
	c.bootPartitions()
	c.volatiles()
	c.mounts()
	c.closuresInPartitions()
}

// number checks the number of entries in the partition table.
func (c *checker) number() {
	k, n := c.d.Partition.Key, 0
	for _, p := range c.d.Partition.Items {
		if !p.Inside.Written() {
			n++
		}
	}
	switch isMBR := c.d.table() == partition.MBR; {
	case len(c.d.Partition.Items) == 0:
		c.Report(k, "is empty", "a disk has at least one partition")
	case isMBR && n > mbr.MaxPartitions:
		c.Report(k, fmt.Sprintf("has %d partitions, but an MBR has %d entries", n, mbr.MaxPartitions), fmt.Sprintf("write table = %q", partition.GPT))
	case n > language.MaxPartitions:
		c.Report(k, fmt.Sprintf("has %d partitions, but a GPT has %d entries", n, language.MaxPartitions), "")
	}
}

// partitionType checks the type of an entry in the partition table.
func (c *checker) partitionType(p *Partition) {
	k, name := p.Type.Key, p.Type.V
	switch {
	case !k.Written && isWholeDisk(p):
	case !k.Written:
		c.Report(k, "is required", "")
	case name == "":
	case c.d.table() == partition.MBR:
		n, err := partition.MBRType(name)
		if err == nil {
			err = mbr.CheckType(n)
		}
		if err != nil {
			c.ReportError(k, err)
		}
	case partition.TypeNeedsArch(name):
		c.needsArch(k, name) // an unknown architecture is reported at arch
	default:
		if _, err := partition.TypeGUID(name, c.d.Arch.V); err != nil {
			c.Report(k, err.Error(), meantType(name))
		}
	}
}

// meantType is the hint for an unknown type. It suggests names that contain an architecture only to those who wrote one.
func meantType(name string) string {
	known := partition.TypeNames()
	if strings.Contains(name, "-") {
		return keyed.Meant(name, known)
	}
	return keyed.Meant(name, slices.DeleteFunc(known, func(n string) bool { return strings.ContainsAny(n, "0123456789") }))
}

// geometry checks size, offset and alignment.
func (c *checker) geometry(p *Partition) {
	sector := c.sector()
	for _, s := range []struct {
		Value[Size]
		isAligned bool
	}{{p.Size, true}, {p.Offset, true}, {p.Align, true}, {p.MinSize, false}} {
		switch n := s.V.Bytes; {
		case !s.Written():
		case s.V.Auto && s.Key != p.Size.Key:
			c.Report(s.Key, `"auto" is only for size`, "remove it")
		case !s.V.Auto && n == 0:
			c.Report(s.Key, "is 0 bytes", "")
		case s.isAligned && n%sector != 0:
			c.Report(s.Key, fmt.Sprintf("%d bytes is not a multiple of the sector size, %d", n, sector), fmt.Sprintf("use %d", units.Align(n, sector)))
		}
	}
	c.position(p)
	for _, k := range []diag.Key{p.MinSize.Key, p.Free.Key} {
		if k.Written && p.Size.Written() && !p.Size.V.Auto {
			c.Report(k, fmt.Sprintf("is for size = \"auto\", but the size is %d bytes", p.Size.V.Bytes), `write size = "auto"`)
		}
	}
}

// position checks an explicit offset.
func (c *checker) position(p *Partition) {
	k, offset, align := p.Offset.Key, p.Offset.V.Bytes, p.Align.V.Bytes
	if !k.Written {
		return
	}
	reserved := c.tableEnd()
	if c.d.isISO() {
		c.Report(k, fmt.Sprintf("does not go with format = %q", FormatISO), "partitions follow the ISO's tree, whose size depends on its content")
	}
	switch {
	case offset < reserved:
		c.Report(k, fmt.Sprintf("%d is in the partition table, which takes the first %d bytes", offset, reserved), "")
	case align > 0 && offset%align != 0:
		c.Report(k, fmt.Sprintf("%d is not a multiple of align, %d", offset, align), fmt.Sprintf("use %d", units.Align(offset, align)))
	}
}

// flags checks the attributes of a GPT entry.
func (c *checker) flags(p *Partition) {
	seen := map[Flag]bool{}
	for _, f := range p.Flags.Items {
		switch text, hint := meaningless(p, f.V); {
		case c.Reported(f.Key.Path):
			continue
		case seen[f.V]:
			c.Report(f.Key, fmt.Sprintf("bit %d is already set", f.V), "")
		case text != "":
			c.Report(f.Key, text, hint)
		}
		seen[f.V] = true
	}
}

// meaningless explains why an attribute would have no effect, or returns "".
func meaningless(p *Partition, f Flag) (text, hint string) {
	row := partition.Named(p.Filesystem.V)
	switch {
	case !partition.DefinesFlag(p.Type.V, int(f)):
		return fmt.Sprintf("bit %d has no meaning for type %q", f, p.Type.V), "remove it"
	case f != partition.FlagGrowFS || row == nil:
	case p.has(partition.FlagReadOnly):
		return "growfs needs a writable mount, but read-only is set too", "remove one of the two"
	case row.Raw && p.Content.V == "":
		return "growfs is set, but there is nothing to grow", "remove it"
	case !row.Raw && !row.Grows:
		return fmt.Sprintf("growfs is set, but %s cannot grow", row.Name), "remove it"
	}
	return "", ""
}

// has reports whether the description sets an attribute.
func (p *Partition) has(flag Flag) bool {
	return slices.ContainsFunc(p.Flags.Items, func(f Value[Flag]) bool { return f.V == flag })
}

// bootPartitions checks the partitions that firmware and loader read.
func (c *checker) bootPartitions() {
	taken := unique{}
	for i := range c.d.Partition.Items {
		p := &c.d.Partition.Items[i]
		kind := partition.TypeName(p.Type.V)
		switch {
		case kind == "esp" || kind == "xbootldr":
			c.unique(taken, p.Type.Key, kind, "the type")
			c.readByFirmware(kind, p.Filesystem)
		case c.isFilledByLoader(p):
			c.unique(taken, p.Type.Key, kind, "the type")
			if raw := language.FilesystemsThat(language.AreRaw); p.Filesystem.V != "" && !slices.Contains(raw, p.Filesystem.V) {
				c.Report(p.Filesystem.Key, fmt.Sprintf("is %q, but %s takes the whole partition", p.Filesystem.V, c.d.loader().Fills),
					"write filesystem = "+language.Alternatives(raw))
			}
			if !c.Reported(c.d.Boot.Loader.Key.Path) {
				c.noBIOS(p.Type.Key, kind, "remove the partition")
			}
		}
	}
}

// isFilledByLoader reports whether the boot loader provides the content of the partition.
func (c *checker) isFilledByLoader(p *Partition) bool {
	return c.d.loader().Fills != "" && !c.d.isISO() && partition.TypeName(p.Type.V) == "bios-boot"
}

// readByFirmware checks the file system of an ESP or XBOOTLDR partition. Raw content is allowed if no loader has to add files
// to it, and an XBOOTLDR partition may have what the loader reads.
func (c *checker) readByFirmware(kind string, filesystem Text) {
	row := partition.Named(filesystem.V)
	if kind == "xbootldr" && c.d.loader().CanReadFrom(filesystem.V) {
		return
	}
	if row != nil && !row.Firmware && !(row.Raw && c.d.loader().None()) {
		c.Report(filesystem.Key, fmt.Sprintf("is %q, but firmware reads only FAT", filesystem.V),
			"write filesystem = "+language.Alternatives(language.FilesystemsThat(language.AreOfFirmware)))
	}
}

// volatiles checks that at most one partition has the key, since it also selects the root.
func (c *checker) volatiles() {
	first := ""
	for _, p := range c.d.Partition.Items {
		switch k := p.Volatile.Key; {
		case !k.Written:
		case first == "":
			first = k.Path
		default:
			c.Report(k, "is for the partition that is mounted as root, and "+first+" is another", "remove one of the two")
		}
	}
}
