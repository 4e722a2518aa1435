package image

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"imprint/image/mbr"
	"imprint/internal/units"
	"imprint/partition"
)

// Bounds of a partition's keys.
const (
	maxPartitionName = 36 // UTF-16 units (UEFI 2.10, table 5.8)
	maxExt4Label     = 16 // bytes of s_volume_name
	maxFATLabel      = 11 // characters of a directory entry's name
)

// partitions checks every partition by itself, and that they get along.
func (c *checker) partitions() {
	all := c.d.Partition
	if n := len(all); c.d.Table == tableMBR && n > mbr.MaxPartitions {
		c.report("partition", fmt.Sprintf("%d partitions are more than the %d entries of an MBR", n, mbr.MaxPartitions), `write table = "gpt"`)
	} else if n > maxPartitions {
		c.report("partition", fmt.Sprintf("%d partitions are more than the %d entries of a GPT", n, maxPartitions), "")
	}
	if len(all) == 0 {
		c.report("partition", "is empty", "a disk has one partition at least")
	}
	names, uuids, partuuids := unique{}, unique{}, unique{strings.ToLower(c.d.UUID): "uuid"}
	for i, p := range all {
		key := partitionKey(i)
		c.partitionName(key, p)
		c.unique(names, key+".name", p.Name, "the name")
		c.unique(uuids, key+".uuid", strings.ToLower(p.UUID), "the UUID")
		c.unique(partuuids, key+".partuuid", strings.ToLower(p.PartUUID), "the partition UUID")
		c.uuid(key+".partuuid", p.PartUUID)
		c.partitionType(key, p)
		c.inISO(key, p)
		c.withoutMBR(key+".partuuid", key+".flags")
		c.geometry(key, p)
		c.flags(key, p)
		c.filesystem(key, p)
	}
	c.bootPartitions()
	c.closuresInPartitions()
}

// withoutMBR reports keys for what an MBR does not hold.
func (c *checker) withoutMBR(keys ...string) {
	for _, key := range keys {
		if c.d.Table == tableMBR && c.d.has(key) {
			c.report(key, `does not go with table = "mbr"`, "an MBR holds a disk signature, which is derived, and a type for each partition")
		}
	}
}

func partitionKey(i int) string { return fmt.Sprintf("partition[%d]", i) }

func (c *checker) partitionName(key string, p PartitionDescription) {
	if n := len(utf16.Encode([]rune(p.Name))); n > maxPartitionName {
		c.report(key+".name", fmt.Sprintf("is %d UTF-16 units long, and a GPT entry holds %d", n, maxPartitionName), "")
	}
}

func (c *checker) partitionType(key string, p PartitionDescription) {
	if p.Type == "" {
		if c.d.Format != formatISO && !c.d.has(key+".type") {
			c.report(key+".type", "is required", "")
		}
		return
	}
	if c.d.Table == tableMBR {
		n, err := partition.MBRType(p.Type)
		if err == nil {
			err = mbr.CheckType(n)
		}
		if err != nil {
			c.report(key+".type", err.Error(), "")
		}
		return
	}
	if partition.TypeNeedsArch(p.Type) {
		c.needsArch(key+".type", p.Type)
		return // which architectures there are is told at arch
	}
	if _, err := partition.TypeGUID(p.Type, c.d.Arch); err != nil {
		c.report(key+".type", err.Error(), typeHintFor(p.Type))
	}
}

func typeHintFor(name string) string {
	known := partition.TypeNames()
	if strings.Contains(name, "-") {
		return meant(name, known)
	}
	return meant(name, slices.DeleteFunc(known, func(n string) bool { return strings.ContainsAny(n, "0123456789") }))
}

// bootPartitions checks the partitions that firmware and loader read.
func (c *checker) bootPartitions() {
	taken := unique{}
	for i, p := range c.d.Partition {
		key := partitionKey(i)
		kind := typeName(p.Type)
		switch {
		case kind == "esp" || kind == "xbootldr":
			c.unique(taken, key+".type", kind, "the type")
			c.readByFirmware(key+".filesystem", p.Filesystem)
		case c.filledByLoader(p):
			c.unique(taken, key+".type", kind, "the type")
			if p.Filesystem != filesystemNone && p.Filesystem != "" {
				c.report(key+".filesystem", fmt.Sprintf("is %q, and GRUB's core image takes the whole partition", p.Filesystem), `write filesystem = "none"`)
			}
			if c.d.Arch != "" && c.d.Arch != "x86_64" && !c.told["boot.loader"] {
				c.report(key+".type", fmt.Sprintf("bios-boot is for a BIOS, which no machine of %s has", c.d.Arch), "leave the partition out")
			}
		}
	}
}

// readByFirmware checks the file system of an ESP or XBOOTLDR partition. Content that is given whole is for an image whose loader is in it.
func (c *checker) readByFirmware(key, filesystem string) {
	given := filesystem == filesystemNone && (c.d.Boot.Loader == "" || c.d.Boot.Loader == loaderNone)
	if filesystem != "" && filesystem != filesystemFAT && !given {
		c.report(key, fmt.Sprintf("is %q, and the firmware reads FAT", filesystem), `write filesystem = "fat"`)
	}
}

// geometry checks size, place and grain.
func (c *checker) geometry(key string, p PartitionDescription) {
	sector := c.d.sectorSize()
	for _, s := range []struct {
		name string
		size Size
	}{{"size", p.Size}, {"offset", p.Offset}, {"align", p.Align}, {"min-size", p.MinSize}} {
		name, size := key+"."+s.name, s.size
		switch {
		case !size.Set:
		case size.Auto && s.name != "size":
			c.report(name, `"auto" is for size`, "leave it out")
		case !size.Auto && size.Bytes == 0:
			c.report(name, "is 0 bytes", "")
		case s.name != "min-size" && size.Bytes%sector != 0:
			c.report(name, fmt.Sprintf("%d bytes are not a multiple of the sector size, %d", size.Bytes, sector),
				fmt.Sprintf("use %d", units.Align(size.Bytes, sector)))
		}
	}
	c.position(key, p)
	for _, s := range []string{"min-size", "free"} {
		if p.Size.Set && !p.Size.Auto && c.d.has(key+"."+s) {
			c.report(key+"."+s, fmt.Sprintf("is for a size that is computed, and this one is %d bytes", p.Size.Bytes), `write size = "auto"`)
		}
	}
}

// position checks an explicit offset.
func (c *checker) position(key string, p PartitionDescription) {
	offset, align := p.Offset, p.Align
	// The protective MBR, the header and 16 KiB of entries lie at the start (UEFI 2.10, 5.3.1).
	reserved := 2*c.d.sectorSize() + 16*units.KiB
	if c.d.Table == tableMBR {
		reserved = c.d.sectorSize()
	}
	if offset.Set && offset.Bytes < reserved {
		c.report(key+".offset", fmt.Sprintf("%d lies in the partition table, which takes the first %d bytes", offset.Bytes, reserved), "")
	}
	if offset.Set && align.Set && align.Bytes > 0 && offset.Bytes%align.Bytes != 0 {
		c.report(key+".offset", fmt.Sprintf("%d is not a multiple of align, %d", offset.Bytes, align.Bytes),
			fmt.Sprintf("use %d", units.Align(offset.Bytes, align.Bytes)))
	}
}

func (c *checker) flags(key string, p PartitionDescription) {
	seen := map[int]bool{}
	for i, f := range p.Flags {
		if seen[f.Bit] && !c.told[fmt.Sprintf("%s.flags[%d]", key, i)] {
			c.report(fmt.Sprintf("%s.flags[%d]", key, i), fmt.Sprintf("bit %d is set already", f.Bit), "")
		}
		seen[f.Bit] = true
	}
}

// label checks the label of a FAT or ext4 file system.
func (c *checker) label(key string, p PartitionDescription) {
	label := p.Label
	upper := strings.ToUpper(label)
	switch {
	case label == "":
	case p.Filesystem == filesystemExt4 && len(label) > maxExt4Label:
		c.report(key, fmt.Sprintf("%q is %d bytes long, and ext4 holds %d", label, len(label), maxExt4Label), "")
	case p.Filesystem != filesystemFAT:
	case len(label) > maxFATLabel:
		c.report(key, fmt.Sprintf("%q is %d characters long, and FAT holds %d", label, len(label), maxFATLabel), "")
	case strings.ContainsFunc(label, func(r rune) bool { return r > unicode.MaxASCII }) || strings.ContainsAny(label, `"*+,./:;<=>?[\]|`):
		c.report(key, fmt.Sprintf("%q has a character that FAT does not take in a label", label), `use A-Z 0-9 _ - and spaces`)
	case label != strings.TrimSpace(label):
		c.report(key, fmt.Sprintf("%q has a space at an end, which FAT drops", label), "")
	case label != upper:
		c.report(key, fmt.Sprintf("%q has lower-case letters, which FAT does not take in a label", label), fmt.Sprintf("write %q", upper))
	}
}

// closuresInPartitions checks that closures lie in one store, and that each does.
func (c *checker) closuresInPartitions() {
	var names []string
	for _, d := range c.d.Closure {
		names = append(names, d.Name)
	}
	used, store := map[string]bool{}, unique{}
	for i, p := range c.d.Partition {
		key := partitionKey(i) + ".closures"
		if len(p.Closures) > 0 {
			c.oneStore(store, key)
		}
		inThis := unique{}
		for j, name := range p.Closures {
			element := fmt.Sprintf("%s[%d]", key, j)
			c.unique(inThis, element, name, "the closure")
			if err := c.known(name, names, "closure"); err != nil {
				c.reportError(element, err)
			}
			used[name] = true
		}
	}
	for i, d := range c.d.Closure {
		if d.Name != "" && !used[d.Name] {
			c.report(fmt.Sprintf("closure[%d].name", i), fmt.Sprintf("%q is in no partition", d.Name),
				fmt.Sprintf("add closures = [%q] to a partition with filesystem = %q", d.Name, c.d.storeFilesystem()))
		}
	}
}

// oneStore reports a second partition with closures: an image has one store, with one database.
func (c *checker) oneStore(store unique, key string) {
	if first, ok := store["store"]; ok {
		c.report(key, fmt.Sprintf("the store is in one partition, and %s has it", first), "put all closures there")
		return
	}
	store["store"] = key
}
