package description

import (
	"fmt"
	"slices"
	"strings"

	"imprint/container"
	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/partition"
)

// FormatOf returns the format of an output: the one that is written, or that of the suffix of its path; nil if neither says one.
func (o *Output) FormatOf() *container.Format {
	if o.Format.Written() {
		return container.Named(o.Format.V)
	}
	return container.BySuffix(o.Path.V)
}

// File returns the name of the output's file, for an image of that name.
func (o *Output) File(image string) string {
	if o.Path.V != "" {
		return o.Path.V
	}
	return image + o.FormatOf().Suffixes[0]
}

// outputs checks the outputs.
func (c *checker) outputs() {
	taken := map[string]bool{}
	for i := range c.d.Output.Items {
		o := &c.d.Output.Items[i]
		f := o.FormatOf()
		if f == nil {
			if !o.Format.Written() {
				c.Report(o.Key, "has neither a format nor a path whose suffix says one", "formats: "+language.Alternatives(container.Names()))
			}
			continue
		}
		if file := o.File(c.d.Name.V); taken[file] {
			c.Report(o.Key, fmt.Sprintf("is the same file as another output, %q", file), "give it another path")
		} else {
			taken[file] = true
		}
		c.packing(o, f)
		c.archived(o, f)
		c.container(o, f)
	}
}

// packing checks how an output is compressed.
func (c *checker) packing(o *Output, f *container.Format) {
	if word := o.Compression; word.V != "" && !slices.Contains(f.Compressions, word.V) {
		c.Report(word.Key, fmt.Sprintf("does not apply to %q", f.Name), "only to "+language.Alternatives(language.FormatsThat(language.CompressClusters)))
	}
	if level, most := o.Level, int64(f.MostLevelOf(o.Compression.V)); !level.Written() {
		return
	} else if most == 0 {
		c.Report(level.Key, "does not apply to what has no levels", "only to "+language.Alternatives(language.FormatsThat(language.HaveLevels)))
	} else if level.V < 1 || level.V > most {
		c.Report(level.Key, fmt.Sprintf("%d is not from 1 to %d", level.V, most), "")
	}
}

// archived checks the partition whose files an output holds.
func (c *checker) archived(o *Output, f *container.Format) {
	p := c.partitions[o.Partition.V]
	switch {
	case !f.Tree && o.Partition.Written():
		c.Report(o.Partition.Key, fmt.Sprintf("does not apply to %q, which holds the disk", f.Name), "only to "+language.Alternatives(language.FormatsThat(language.HoldTrees)))
	case !f.Tree:
	case c.d.PartitionOf(o) == "":
		c.Report(o.Key, "does not say whose files it holds, and no partition is the root file system", `add partition = "NAME"`)
	case !o.Partition.Written():
	case p == nil:
		if err := c.absent("partition", o.Partition.V, c.partitionNames); err != nil {
			c.ReportError(o.Partition.Key, err)
		}
	case partition.Named(p.Filesystem.V) != nil && !partition.Named(p.Filesystem.V).HasFiles():
		c.Report(o.Partition.Key, fmt.Sprintf("partition %q holds no files", o.Partition.V), "")
	}
}

// PartitionOf returns the name of the partition whose files an output holds: the one that it names, or the root file system; "" if there is
// neither, or if it holds the disk.
func (d *Image) PartitionOf(o *Output) string {
	root := d.Root()
	switch {
	case !o.FormatOf().Tree:
		return ""
	case o.Partition.Written():
		return o.Partition.V
	case root == nil:
		return ""
	}
	return root.Name.V
}

// container checks what an output says of a container image.
func (c *checker) container(o *Output, f *container.Format) {
	lists := []List[Value[Template]]{o.Entrypoint, o.Cmd, o.Env}
	for _, key := range []diag.Key{o.Entrypoint.Key, o.Cmd.Key, o.Env.Key, o.Workdir.Key, o.User.Key} {
		if !f.Layers && key.Written {
			c.Report(key, fmt.Sprintf("does not apply to %q", f.Name), "only to "+language.Alternatives(language.FormatsThat(language.HaveLayers)))
		}
	}
	if !f.Layers {
		return
	}
	if err := (&container.Image{Arch: c.d.Arch.V}).Check(); err != nil {
		c.Report(o.Key, err.Error(), `add arch = "x86_64"`)
	}
	for _, list := range lists {
		for _, text := range list.Items {
			c.closureTemplate(text)
		}
	}
	for _, text := range o.Env.Items {
		if strings.IndexByte(string(text.V), '=') < 1 {
			c.Report(text.Key, fmt.Sprintf("%q is not NAME=VALUE", string(text.V)), "")
		}
	}
	c.absolute(o.Workdir)
}

// closureTemplate checks a text in which only closures have substitutions.
func (c *checker) closureTemplate(t Value[Template]) {
	c.template(t)
	refs, _ := t.V.References()
	for _, ref := range refs {
		if ref.Kind != "closure" {
			c.Report(t.Key, fmt.Sprintf("${%s…} means nothing in a container", ref.Kind), "only ${closure.NAME} does")
		}
	}
	if strings.ContainsRune(string(t.V), 0) {
		c.Report(t.Key, "contains a NUL", "")
	}
}
