package description

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/pattern"
	"imprint/partition"
)

// Bounds of Linux (limits.h).
const (
	maxName   = 255  // bytes of a file name (NAME_MAX)
	maxTarget = 4095 // bytes of a symlink's target (PATH_MAX without the NUL)
)

// filesystem checks the keys of a partition against the row of its file system.
func (c *checker) filesystem(p *Partition) {
	row := partition.Named(p.Filesystem.V)
	if row == nil {
		return // which is reported when it is decoded
	}
	if row.WholeDisk && !c.d.isISO() {
		c.Report(p.Filesystem.Key, fmt.Sprintf("%q is for format = %q", row.Name, FormatISO), fmt.Sprintf("add format = %q at the top", FormatISO))
		return
	}
	for name, hint := range row.Refuses {
		c.refuse(row, p.keyNamed(name), hint)
	}
	if !row.Owners {
		c.withoutOwners(row, p)
	}
	if !row.Inside {
		hint := "it is for filesystem = " + language.Alternatives(language.FilesystemsThat(language.GoInside))
		c.refuse(row, p.Inside.Key, hint)
		c.refuse(row, p.Path.Key, hint)
	}
	c.values(row, p)
	c.width(row, p)
	c.compression(row, p)
	switch {
	case row.Raw:
		c.raw(p)
		return
	case row.Swap:
		c.swap(p)
		return
	}
	c.content(p)
}

// refuse reports a key that the file system does not take.
func (c *checker) refuse(row *partition.Filesystem, k diag.Key, hint string) {
	if k.Written {
		c.Report(k, fmt.Sprintf("does not go with filesystem = %q", row.Name), hint)
	}
}

// withoutOwners reports modes and owners on a file system that has none.
func (c *checker) withoutOwners(row *partition.Filesystem, p *Partition) {
	c.refuse(row, p.Attr.Key, "it stores neither modes nor owners")
	for _, d := range p.Dir.Items {
		for _, k := range append(d.Owner().keys(), d.Mode.Key) {
			c.refuse(row, k, "")
		}
	}
	for _, f := range p.File.Items {
		for _, k := range append(f.Owner().keys(), f.Mode.Key) {
			c.refuse(row, k, "")
		}
	}
}

// values checks label, identifier, engine and features by the rules of the file system.
func (c *checker) values(row *partition.Filesystem, p *Partition) {
	check := func(v Text, rule func(string) error) {
		if v.V == "" || rule == nil {
			return
		}
		if err := rule(v.V); err != nil {
			c.ReportError(v.Key, err)
		}
	}
	check(p.Label, row.CheckLabel)
	check(p.UUID, row.CheckID)
	if engine := p.Engine; engine.V != "" && row.Engines != nil && !slices.Contains(row.Engines, engine.V) {
		c.Report(engine.Key, fmt.Sprintf("%q cannot make %s", engine.V, row.Name), "write engine = "+language.Alternatives(row.Engines))
	}
	if row.CheckFeatures != nil {
		if err := row.CheckFeatures(p.Engine.V, Strings(p.Features)); err != nil {
			c.ReportError(p.Features.Key, err)
		}
	}
}

// compression checks how the content is compressed, if the file system compresses it.
func (c *checker) compression(row *partition.Filesystem, p *Partition) {
	if row.Compressors == nil {
		for _, k := range []diag.Key{p.Compress.Key, p.Level.Key, p.BlockSize.Key} {
			c.refuse(row, k, "it is for filesystem = "+language.Alternatives(language.FilesystemsThat(language.Compress)))
		}
		return
	}
	name, level, block := row.CheckCompression(p.Compress.V, p.Level.V, p.BlockSize.V.Bytes)
	if p.Level.Written() && p.Level.V == 0 {
		level = fmt.Errorf("is 0, but levels begin with 1")
	}
	if p.BlockSize.Written() && p.BlockSize.V.Bytes == 0 { // "auto" is among them
		block = fmt.Errorf("is not a size, as in \"128KiB\"")
	}
	for _, wrong := range []struct {
		key diag.Key
		err error
	}{{p.Compress.Key, name}, {p.Level.Key, level}, {p.BlockSize.Key, block}} {
		if wrong.err != nil {
			c.ReportError(wrong.key, wrong.err)
		}
	}
}

// raw checks that a partition without a file system has content or a size.
func (c *checker) raw(p *Partition) {
	switch filled := c.isFilledByLoader(p); {
	case filled && p.Content.V != "":
		c.Report(p.Content.Key, "is provided by the boot loader: "+c.d.loader().Fills, "remove it")
	case !filled && p.Content.V == "" && p.Size.V.Bytes == 0 && c.hashed(p) == nil:
		c.Report(p.Content.Key, fmt.Sprintf("is required with filesystem = %q", p.Filesystem.V),
			"name the file whose bytes the partition holds, or give a size")
	}
}

// swap checks that swap space has a size, since it has no content that decides.
func (c *checker) swap(p *Partition) {
	if p.Size.V.Bytes == 0 && !p.MinSize.Written() && !p.Grow.V && !c.Reported(p.Size.Key.Path) {
		c.Report(p.Size.Key, fmt.Sprintf("is required with filesystem = %q", p.Filesystem.V), `as in size = "2GiB"`)
	}
}

// content checks the directories, files, links and trees of a partition, and that their paths and those of partitions inside
// it are different. What a tree brings is not known yet; resolving it reports conflicts.
func (c *checker) content(p *Partition) {
	taken := unique{}
	add := func(path Text, mayBeRoot bool) {
		c.absolute(path)
		c.unique(taken, path.Key, path.V, "the path")
		if path.V == "/" && !mayBeRoot {
			c.Report(path.Key, `"/" is a directory`, "")
		}
	}
	for _, d := range p.Dir.Items {
		add(d.Path, true)
		c.owner(d.Owner())
	}
	for _, f := range p.File.Items {
		add(f.Path, false)
		c.file(&f)
		c.owner(f.Owner())
	}
	for _, l := range p.Link.Items {
		add(l.Path, false)
		c.link(&l)
		c.owner(l.Owner())
	}
	for _, l := range p.Layer.Items {
		c.layer(l)
	}
	for _, t := range p.Tree.Items {
		c.absolute(t.Target)
		for _, text := range t.Exclude.Items {
			if _, err := pattern.Parse([]string{text.V}); err != nil {
				c.Report(text.Key, err.Error(), "")
			}
		}
	}
	for _, a := range p.Attr.Items {
		c.attr(&a)
	}
	for _, inner := range c.d.Partition.Items {
		if inner.Inside.V == p.Name.V && p.Name.V != "" {
			add(inner.Path, false)
		}
	}
}

// absolute checks a path in the image. An absent one is reported elsewhere.
func (c *checker) absolute(v Text) {
	if v.V == "" {
		return
	}
	if clean := path.Clean("/" + v.V); v.V != clean {
		c.Report(v.Key, fmt.Sprintf("%q is not a clean absolute path", v.V), fmt.Sprintf("did you mean %q?", clean))
		return
	}
	for name := range strings.SplitSeq(v.V, "/") {
		if len(name) > maxName {
			c.Report(v.Key, fmt.Sprintf("contains a name of %d bytes, more than %d", len(name), maxName), "")
		}
	}
}

// file checks that a file has exactly one content. An empty text counts as content, so this is about keys and not values.
func (c *checker) file(f *File) {
	switch text, source := f.Text.Key, f.Source.Key; {
	case text.Written && source.Written:
		c.Report(source, "excludes text", "remove one of the two")
	case !text.Written && !source.Written && !c.Reported(text.Path) && !c.Reported(source.Path):
		c.Report(f.Key, "has neither text nor source", `for an empty file write text = ""`)
	}
	c.template(f.Text)
}

// link checks a symlink. The length of a target with substitutions is known only when they are resolved.
func (c *checker) link(l *Link) {
	c.path(l.Target)
	if n := len(l.Target.V); n > maxTarget && l.Target.V.literal() {
		c.Report(l.Target.Key, fmt.Sprintf("is %d bytes long, more than %d", n, maxTarget), "")
	}
}

// purpose checks that a partition holds what its type promises. systemd acts on types: it would enable a partition of type
// swap, even one that holds something else.
func (c *checker) purpose(p *Partition) {
	row, is := partition.Named(p.Filesystem.V), partition.PurposeOf(p.Type.V)
	if row == nil {
		return // which is reported when it is decoded
	}
	raw := language.Alternatives(language.FilesystemsThat(language.AreRaw))
	switch {
	case is == nil && row.Swap && !partition.IsForeign(p.Type.V) && p.Type.V != "":
		c.Report(p.Type.Key, fmt.Sprintf("%q is not a type of swap space", p.Type.V), fmt.Sprintf("write type = %q", row.Name))
	case is == nil:
		c.fatType(p, row)
	case c.isFilledByLoader(p): // which has a check of its own
	case row.Swap && partition.IsSwap(p.Type.V):
	case !row.Raw:
		c.Report(p.Filesystem.Key, fmt.Sprintf("is %q, but a partition of type %q holds %s", row.Name, p.Type.V, is.Holds),
			fmt.Sprintf("write filesystem = %s and content = a file made by %s, or choose another type", raw, is.From)+orSwap(p))
	case is.Used && p.Content.V == "" && !c.isLeftAlone(p) && c.hashed(p) == nil:
		c.Report(p.Content.Key, fmt.Sprintf("is required: systemd uses any partition of type %q as %s", p.Type.V, is.Holds),
			fmt.Sprintf("name a file made by %s, or add flags = [\"no-auto\"] to leave the partition to the running system", is.From)+orSwap(p))
	}
}

// orSwap is the end of a hint for a partition of the type of swap space.
func orSwap(p *Partition) string {
	if !partition.IsSwap(p.Type.V) {
		return ""
	}
	return "; or filesystem = " + language.Alternatives(language.FilesystemsThat(language.AreSwap))
}

// emptySlot is the name of a partition for updates with nothing installed yet (sysupdate.d(5), "Target partitions").
const emptySlot = "_empty"

// isLeftAlone reports whether systemd does not use the partition on its own, so that it may be empty.
func (c *checker) isLeftAlone(p *Partition) bool {
	return cmp.Or(p.PartLabel.V, p.Name.V) == emptySlot || c.d.table() == partition.MBR || p.has(partition.FlagNoAuto)
}

// fatType checks that a partition with a FAT type in an MBR has a FAT.
func (c *checker) fatType(p *Partition, row *partition.Filesystem) {
	if c.d.table() == partition.MBR && partition.IsFATType(p.Type.V) && !row.Raw && !row.Firmware {
		c.Report(p.Type.Key, fmt.Sprintf("%s is a FAT type, but the file system is %q", p.Type.V, row.Name), `write type = "linux-generic"`)
	}
}
