package description

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/oci"
	"imprint/internal/pattern"
	"imprint/partition"
)

// keys returns the keys of an owner.
func (o Owner) keys() []diag.Key { return []diag.Key{o.UID.Key, o.GID.Key, o.User.Key, o.Group.Key} }

var accountName = regexp.MustCompile(language.AccountForm)

// owner checks that an owner is a number or a name. Whether the name is known is seen when the tree is there.
func (c *checker) owner(o Owner) {
	for _, pair := range []struct {
		number Number
		name   Text
		other  string
	}{{o.UID, o.User, "uid"}, {o.GID, o.Group, "gid"}} {
		switch name := pair.name; {
		case !name.Written() || c.Reported(name.Key.Path):
		case pair.number.Written():
			c.Report(name.Key, "excludes "+pair.other, "remove one of the two")
		case !accountName.MatchString(name.V):
			c.Report(name.Key, fmt.Sprintf("%q is not a name of a user or group", name.V), "write a number as "+pair.other)
		}
	}
}

// attr checks a pattern with a mode or an owner.
func (c *checker) attr(a *Attr) {
	_, err := pattern.Parse([]string{a.Path.V})
	switch {
	case a.Path.V == "":
	case a.Path.V[0] != '/':
		c.Report(a.Path.Key, fmt.Sprintf("%q does not begin at the top", a.Path.V), fmt.Sprintf("did you mean %q?", "/"+a.Path.V))
	case err != nil:
		c.Report(a.Path.Key, err.Error(), "")
	}
	if !slices.ContainsFunc(append(a.Owner().keys(), a.Mode.Key), func(k diag.Key) bool { return k.Written }) {
		c.Report(a.Key, "has neither a mode nor an owner", `as in mode = "0750" or user = "alice"`)
	}
	c.owner(a.Owner())
}

// mounts checks where partitions are mounted, and that a table of that is written somewhere.
func (c *checker) mounts() {
	var table *Partition
	for i := range c.d.Partition.Items {
		switch p := &c.d.Partition.Items[i]; {
		case !p.FStab.V:
		case table != nil:
			c.Report(p.FStab.Key, "is for the partition that is mounted as root, and "+table.FStab.Key.Path+" is another", "remove one of the two")
		default:
			table = p
		}
	}
	taken := unique{}
	for i := range c.d.Partition.Items {
		p := &c.d.Partition.Items[i]
		if c.absolute(p.Mount); p.Mount.V == "" {
			continue
		}
		c.unique(taken, p.Mount.Key, p.Mount.V, "the mount point")
		switch k := p.Mount.Key; {
		case p.StoreMount() != "" && c.flavor().Top() == "":
			c.Report(k, fmt.Sprintf("is %q, but a store of this flavor is in %s and its state in %s", p.Mount.V, c.flavor().StoreDir, c.flavor().StateDir),
				"remove it: the store is in the root file system")
		case p.StoreMount() != "" && p.StoreMount() != c.flavor().Top():
			c.Report(k, fmt.Sprintf("is %q, but the partition has closures, and the store is in %s", p.Mount.V, c.flavor().Top()),
				fmt.Sprintf("write mount = %q, or remove it", c.flavor().Top()))
		case table == nil && p.StoreMount() != "":
		case table == nil:
			c.Report(k, "has no effect: no partition has fstab = true", "add fstab = true to the partition that is mounted as root")
		case p.Inside.Written():
			c.Report(k, fmt.Sprintf("does not go with inside: the partition is a file of %q", p.Inside.V), "remove it")
		case p == table && p.Mount.V != "/":
			c.Report(k, fmt.Sprintf("is %q, but the partition with fstab is mounted as root", p.Mount.V), "remove one of the two")
		case p != table && p.Mount.V == "/":
			c.Report(k, `is "/", where the partition with fstab is mounted`, "")
		}
	}
}

// MountPoint returns where the running system mounts a partition, for the table in another one; "" if nothing says.
func (d *Image) MountPoint(p *Partition) string {
	switch {
	case p.FStab.V:
		return "/"
	case p.Mount.V != "" || p.Inside.Written() || isWholeDisk(p):
		return p.Mount.V
	}
	return partition.MountPoint(p.Type.V)
}

// bootFile checks the path of a kernel or its like, which may be in a partition's own tree.
func (c *checker) bootFile(t Value[Template]) {
	if _, isInput := InputOf(string(t.V)); isInput {
		return // which is checked with all others
	}
	name, path, ok := t.V.InTree()
	if !ok {
		c.path(t)
		return
	}
	p := c.partitions[name]
	switch row := partition.Named(c.filesystemOf(p)); {
	case p == nil:
		if err := c.absent("partition", name, c.partitionNames); err != nil {
			c.ReportError(t.Key, err)
		}
	case row != nil && !row.HasFiles():
		c.Report(t.Key, fmt.Sprintf("partition %q has no file system", name), "")
	case !strings.HasPrefix(string(path), "/"):
		c.Report(t.Key, fmt.Sprintf("%q is not followed by a path", "${partition."+name+"}"), fmt.Sprintf("as in %q", "${partition."+name+"}/boot/vmlinuz-*"))
	default:
		c.path(Value[Template]{V: path, Key: t.Key})
	}
}

func (c *checker) filesystemOf(p *Partition) string {
	if p == nil {
		return ""
	}
	return p.Filesystem.V
}

// layer checks that a layer has one origin.
func (c *checker) layer(l Layer) {
	env, source := l.Env.Key, l.Source.Key
	if l.Step.Written() {
		for _, k := range []diag.Key{l.From.Key, env, source, l.Digest.Key, l.Tag.Key} {
			if k.Written {
				c.Report(k, "excludes step", "remove one of the two")
			}
		}
		return
	}
	if l.From.Written() {
		c.from(l)
		return
	}
	switch {
	case env.Written && source.Written:
		c.Report(source, "excludes env", "remove one of the two")
	case !env.Written && !source.Written && !l.Digest.Written() && !c.Reported(l.Digest.Key.Path):
		c.Report(l.Key, "has neither from nor env nor source nor digest nor step", `as in env = "web" or source = "layer.tar"`)
	case !env.Written && l.Tag.Written():
		c.Report(l.Tag.Key, "is for a layer with env", "remove it")
	}
}

// from checks a layer that is a base.
func (c *checker) from(l Layer) {
	for _, k := range []diag.Key{l.Env.Key, l.Tag.Key, l.Source.Key, l.Digest.Key} {
		if k.Written {
			c.Report(k, "excludes from", "remove one of the two")
		}
	}
	if l.From.V == "" {
		return
	}
	if _, err := oci.ParseReference(l.From.V); err != nil {
		c.ReportError(l.From.Key, err)
	}
}

// isFile checks a partition that is a file of another.
func (c *checker) isFile(p *Partition) {
	row := partition.Named(p.Filesystem.V)
	if row == nil || !row.Inside {
		return // which is reported already
	}
	for _, k := range []diag.Key{
		p.Type.Key, p.Size.Key, p.MinSize.Key, p.Offset.Key, p.Align.Key, p.PartUUID.Key, p.Flags.Key,
		p.Number.Key, p.PartLabel.Key, p.MBRType.Key, p.Grow.Key, p.GrowAtBoot.Key, p.Verity.Key,
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
	if row := partition.Named(outer.Filesystem.V); row != nil && !row.HasFiles() {
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
	case strings.ContainsAny(p.Path.V, " \t\"'\\") && c.root == p:
		c.Report(k, fmt.Sprintf("%q cannot be written on a kernel command line", p.Path.V), "use no spaces, quotes and backslashes")
	}
}
