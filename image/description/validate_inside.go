package description

import (
	"fmt"
	"strings"

	"imprint/internal/diag"
	"imprint/partition"
)

// isFile checks a partition that is a file of another.
func (c *checker) isFile(p *Partition) {
	row := partition.Named(p.Filesystem.V)
	if row == nil || !row.Inside {
		return // which is reported already
	}
	for _, k := range []diag.Key{
		p.Type.Key, p.Size.Key, p.MinSize.Key, p.Offset.Key, p.Align.Key, p.PartUUID.Key, p.Flags.Key,
	} {
		if k.Written {
			c.Report(k, fmt.Sprintf("does not go with inside: the partition is a file of %q", p.Inside.V), "remove it")
		}
	}
	c.outer(p)
	c.innerPath(p)
}

// outer checks the partition that this one is in.
func (c *checker) outer(p *Partition) {
	k, name := p.Inside.Key, p.Inside.V
	if name == "" {
		return
	}
	outer := c.partitions[name]
	if outer == nil {
		if err := c.absent("partition", name, c.partitionNames); err != nil {
			c.ReportError(k, err)
		}
		return
	}
	if row := partition.Named(outer.Filesystem.V); row != nil && row.Raw {
		c.Report(k, fmt.Sprintf("partition %q has no file system", name), "")
	}
	if around := c.cycle(p); around != nil {
		c.Report(k, fmt.Sprintf("partition %q is inside itself (%s)", p.Name.V, strings.Join(around, " inside ")), "")
	}
}

// cycle returns the names of the partitions around p, with p first and last, if p is inside itself. Otherwise it returns nil.
func (c *checker) cycle(p *Partition) []string {
	around := []string{p.Name.V}
	for outer := c.partitions[p.Inside.V]; outer != nil && len(around) <= len(c.partitions); outer = c.partitions[outer.Inside.V] {
		if around = append(around, outer.Name.V); outer == p {
			return around
		}
		if !outer.Inside.Written() {
			break
		}
	}
	return nil
}

// innerPath checks the path of the file. That it is unique is checked with the content of the outer partition.
func (c *checker) innerPath(p *Partition) {
	c.absolute(p.Path)
	switch k := p.Path.Key; {
	case !k.Written:
		c.Report(k, fmt.Sprintf("is required: the path of the file in partition %q", p.Inside.V), fmt.Sprintf("as in path = \"/nix-store.%s\"", p.Filesystem.V))
	case strings.ContainsAny(p.Path.V, " \t\"'\\") && c.d.Root() == p:
		c.Report(k, fmt.Sprintf("%q cannot be written on a kernel command line", p.Path.V), "use no spaces, quotes and backslashes")
	}
}
