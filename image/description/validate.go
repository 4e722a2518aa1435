package description

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"imprint/bootloader"
	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/keyed"
	"imprint/partition"
)

// A checker finds the errors that the text shows by itself, and changes nothing. The decoder has checked each value alone; the
// checker checks what depends on other keys, on the file system and on the boot loader.
type checker struct {
	*keyed.Reporter
	d          *Image
	root       *Partition            // as [Image.Root] returns it
	closures   map[string]*Closure   // by name, the first of each
	partitions map[string]*Partition // by name, the first of each

	closureNames, partitionNames []string
}

// validate runs all checks. Names are indexed first, since every check of a reference needs them; the order of the others does
// not matter, because problems are sorted by position.
func (c *checker) validate() {
	c.root = c.d.Root()
	c.index()
	c.disk()
	c.inputs()
	c.allSources()
	c.allClosures()
	c.boot()
	c.allPartitions()
	c.steps()
	c.iso()
	c.outputs()
}

// index records what names stand for.
func (c *checker) index() {
	c.closures, c.partitions = map[string]*Closure{}, map[string]*Partition{}
	for i := range c.d.Closure.Items {
		cl := &c.d.Closure.Items[i]
		if c.closures[cl.Name.V] == nil {
			c.closures[cl.Name.V] = cl
		}
		c.closureNames = append(c.closureNames, cl.Name.V)
	}
	for i := range c.d.Partition.Items {
		p := &c.d.Partition.Items[i]
		if c.partitions[p.Name.V] == nil {
			c.partitions[p.Name.V] = p
		}
		c.partitionNames = append(c.partitionNames, p.Name.V)
	}
}

// maxNameLength is the maximum length of an image's name in bytes: that of a file name, less room for a suffix.
const maxNameLength = 200

var imageName = regexp.MustCompile(language.ImageNameForm)

// disk checks the keys at the top.
func (c *checker) disk() {
	d := c.d
	if name := d.Name.V; name != "" && (!imageName.MatchString(name) || len(name) > maxNameLength) {
		c.Report(d.Name.Key, fmt.Sprintf("%q is not valid as a file name", name),
			fmt.Sprintf("use up to %d of a-z A-Z 0-9 . _ + -, a letter or digit first", maxNameLength))
	}
	if d.Unique.V && d.Seed.V != "" {
		c.Report(d.Unique.Key, "excludes seed: identifiers are either new in every build or derived from a text", "remove one of the two")
	}
	c.uuid(d.UUID)
	c.withoutMBR(d.UUID.Key)
	c.size()
	for _, raw := range d.Raw.Items {
		if offset := raw.Offset; offset.V.Auto {
			c.Report(offset.Key, `"auto" is only for the size of a partition`, `as in "8KiB"`)
		} else if sector := c.sector(); offset.V.Bytes%sector != 0 {
			c.Report(offset.Key, fmt.Sprintf("%d is not a multiple of the sector size, %d", offset.V.Bytes, sector), "")
		}
	}
}

// isoSector is the size of a logical sector of an ISO in bytes (ECMA-119, 6.1.2).
const isoSector = 2048

// sector returns the unit of sizes and offsets in bytes.
func (c *checker) sector() int64 {
	switch {
	case c.d.isISO():
		return isoSector
	case c.d.SectorSize.V == 0:
		return language.SectorSize
	}
	return c.d.SectorSize.V
}

// uuid checks the identifier of the disk or of a partition.
func (c *checker) uuid(id Text) {
	if id.V == "" {
		return
	}
	if err := partition.CheckUUID(id.V); err != nil {
		c.ReportError(id.Key, err)
	}
}

// withoutMBR reports keys for what an MBR has no room for.
func (c *checker) withoutMBR(keys ...diag.Key) {
	for _, k := range keys {
		if c.d.table() == partition.MBR && k.Written {
			c.Report(k, fmt.Sprintf("does not go with table = %q", partition.MBR),
				"an MBR holds a disk signature, which is derived, and a type for each partition")
		}
	}
}

// iso checks that an ISO image has exactly one tree, and no key that has no meaning there.
func (c *checker) iso() {
	if !c.d.isISO() {
		return
	}
	for _, k := range []diag.Key{
		c.d.SectorSize.Key, c.d.Table.Key, c.d.Raw.Key, c.d.Size.Key, c.d.Multiple.Key, c.d.EntriesAt.Key, c.d.MBRActive.Key,
	} {
		if k.Written {
			c.Report(k, fmt.Sprintf("does not go with format = %q", FormatISO), "an ISO has sectors of 2048 bytes and its own partition table")
		}
	}
	first := true
	for _, p := range c.d.Partition.Items {
		if !isWholeDisk(&p) {
			continue
		}
		if !first {
			c.Report(p.Filesystem.Key, fmt.Sprintf("is the second %q: an ISO has one tree", p.Filesystem.V),
				fmt.Sprintf("add to the first, or write filesystem = %s with inside and path", language.Alternatives(language.FilesystemsThat(language.GoInside))))
		}
		first = false
	}
	if k := c.d.Partition.Key; first && !c.Reported(k.Path) {
		c.Report(k, "an ISO needs a tree", "add [[partition]] with filesystem = "+language.Alternatives(language.FilesystemsThat(language.AreWholeDisks)))
	}
}

// needsArch reports that the architecture is missing, if it is.
func (c *checker) needsArch(k diag.Key, value string) {
	if c.d.Arch.V == "" {
		c.Report(c.d.Arch.Key, fmt.Sprintf("is required: %s = %q depends on it", k.Path, value), `as in arch = "x86_64"`)
	}
}

// noBIOS reports what only a BIOS can start, if the architecture has none.
func (c *checker) noBIOS(k diag.Key, what, hint string) {
	if arch := c.d.Arch.V; arch != "" && !bootloader.HasBIOS(arch) {
		c.Report(k, fmt.Sprintf("%s needs a BIOS, which machines of architecture %s do not have", what, arch), hint)
	}
}

// A unique set maps each value to the path of the key that has it.
type unique map[string]string

// unique reports a value that another key already has; what names the kind of value.
func (c *checker) unique(taken unique, k diag.Key, value, what string) {
	if value == "" {
		return
	}
	if first, ok := taken[value]; ok {
		c.Report(k, fmt.Sprintf("%s %q is already used by %s", what, value, first), "")
		return
	}
	taken[value] = k.Path
}

// absent is the error for a reference to a closure or partition that does not exist. It is nil if one of them has no name,
// since that is reported already and may be the one that is meant.
func (c *checker) absent(kind, name string, names []string) error {
	text := fmt.Sprintf("there is no %s %q", kind, name)
	switch {
	case slices.Contains(names, "") || c.Reported(kind):
		return nil
	case len(names) == 0:
		return diag.Mistake{Text: text, Hint: "there are none: add [[" + kind + "]]"}
	}
	return diag.Mistake{Text: text, Hint: keyed.Meant(name, names)}
}

// hasControl reports whether a text has a control character in it.
func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
