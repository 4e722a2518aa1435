package image

import (
	"fmt"
	"regexp"
	"strings"
)

// isoKeys are the keys of a partition that mean nothing in an ISO, by file system: where things lie is xorriso's business, and only the ESP
// is a partition by itself.
var isoKeys = map[string][]string{
	filesystemISO: {
		"type", "engine", "features", "size", "min-size", "free", "offset", "align", "uuid", "partuuid", "flags", "content", "inside", "path",
	},
	filesystemSquash: {"type", "engine", "features", "size", "min-size", "free", "offset", "align", "label", "uuid", "partuuid", "flags", "content"},
	filesystemEROFS:  {"type", "engine", "features", "size", "min-size", "free", "offset", "align", "label", "uuid", "partuuid", "flags", "content"},
	filesystemFAT:    {"offset", "align", "partuuid", "flags", "inside", "path", "volatile"},
}

// iso checks what is about the whole image, and that keys of ISOs are in ISOs.
func (c *checker) iso() {
	first := ""
	for i := range c.d.Partition {
		key := partitionKey(i) + ".volatile"
		switch {
		case !c.d.has(key):
		case first == "":
			first = key
		default:
			c.report(key, "is a key of the partition that is mounted as root, and there is "+first, "leave one of the two out")
		}
	}
	if c.d.Format != formatISO {
		return
	}
	for _, key := range []string{"sector-size", "table", "raw"} {
		if c.d.has(key) {
			c.report(key, `does not go with format = "iso"`, "leave it out: xorriso lays the ISO and its partition table out")
		}
	}
	trees := 0
	for i, p := range c.d.Partition {
		if p.Filesystem == filesystemISO {
			if trees++; trees > 1 {
				c.report(partitionKey(i)+".filesystem", "is iso9660 a second time: an ISO has one tree", `put more into it, or write filesystem = "squashfs" with inside and path`)
			}
		}
	}
	if trees == 0 && !c.told["partition"] {
		c.report("partition", "none is the tree of the ISO", "add [[partition]] with filesystem = \"iso9660\"")
	}
}

// inISO checks a partition of an ISO, and that one of a disk has nothing that is for ISOs.
func (c *checker) inISO(key string, p PartitionDescription) {
	keys, ok := isoKeys[p.Filesystem]
	switch {
	case p.Filesystem == "" || c.told[key+".filesystem"]:
	case c.d.Format != formatISO:
		c.notInISO(key, p)
	case !ok:
		c.report(key+".filesystem", fmt.Sprintf("%q cannot be in an ISO", p.Filesystem), "an ISO has iso9660, in it squashfs or erofs, and behind it an ESP with fat")
	default:
		c.without(key, p.Filesystem, keys...)
		c.insideISO(key, p)
	}
}

// notInISO reports what a disk has not.
func (c *checker) notInISO(key string, p PartitionDescription) {
	switch p.Filesystem {
	case filesystemISO, filesystemSquash, filesystemEROFS:
		c.report(key+".filesystem", fmt.Sprintf("%q is for format = \"iso\"", p.Filesystem), `add format = "iso" at the top`)
		return
	case filesystemFAT, filesystemNone:
		c.without(key, p.Filesystem, "volatile")
	}
	c.without(key, p.Filesystem, "inside", "path")
}

// insideISO checks what is particular to each kind of partition in an ISO.
func (c *checker) insideISO(key string, p PartitionDescription) {
	switch p.Filesystem {
	case filesystemISO:
		if p.Label != "" && !isoLabel.MatchString(p.Label) {
			c.report(key+".label", fmt.Sprintf("%q is not fit for the ID of an ISO volume", p.Label), fmt.Sprintf("up to 32 of A-Z 0-9 _, as in %q", volumeID(p.Label)))
		}
	case filesystemFAT:
		if typeName(p.Type) != "esp" {
			c.report(key+".type", "must be esp: nothing else is appended to an ISO", `write type = "esp"`)
		}
	default:
		c.fileOfISO(key, p)
	}
}

// fileOfISO checks where a file system lies that is a file of the ISO's tree.
func (c *checker) fileOfISO(key string, p PartitionDescription) {
	if !c.d.has(key + ".inside") {
		c.report(key+".inside", "is required: "+p.Filesystem+" is a file in the ISO", "the name of the partition with filesystem = \"iso9660\"")
	} else if !c.isTree(p.Inside) {
		c.report(key+".inside", fmt.Sprintf("%q is no partition with filesystem = \"iso9660\"", p.Inside), c.treeHint())
	}
	if !c.d.has(key + ".path") {
		c.report(key+".path", "is required: where the file is in the ISO", fmt.Sprintf("as in path = \"/nix-store.%s\"", p.Filesystem))
		return
	}
	c.absolute(key+".path", p.Path)
	c.notRoot(key+".path", p.Path)
	if strings.ContainsAny(p.Path, " \t\"'\\") {
		c.report(key+".path", fmt.Sprintf("%q cannot be told on a kernel command line", p.Path), "use no spaces, quotes and backslashes")
	}
}

// treeHint names the partition that is the ISO's tree, if there is one.
func (c *checker) treeHint() string {
	for _, p := range c.d.Partition {
		if p.Filesystem == filesystemISO && p.Name != "" {
			return fmt.Sprintf("write inside = %q", p.Name)
		}
	}
	return ""
}

func (c *checker) isTree(name string) bool {
	for _, p := range c.d.Partition {
		if p.Name == name && p.Filesystem == filesystemISO {
			return true
		}
	}
	return false
}

var isoLabel = regexp.MustCompile(`^[A-Z0-9_]{1,32}$`)

// resolvesInISO tells what is wrong with a reference to a partition of an ISO.
func resolvesInISO(ref Reference, p PartitionDescription) error {
	no := func(what, hint string) error {
		return mistake{fmt.Sprintf("${partition.%s.%s}: %s", ref.Name, ref.Field, what), hint}
	}
	switch {
	case ref.Field == "partuuid" && p.Filesystem == filesystemFAT:
		return no("xorriso chooses the partition UUID", "it has a uuid")
	case ref.Field == "partuuid":
		return no("it is no entry of a partition table", "an ISO is found by ${iso.uuid}")
	case p.Filesystem == filesystemSquash, p.Filesystem == filesystemEROFS:
		return no(p.Filesystem+" has none", "")
	}
	return nil
}

// storeFilesystem is what a hint suggests for a partition with a store.
func (d *Description) storeFilesystem() string {
	if d.Format == formatISO {
		return filesystemISO
	}
	return filesystemExt4
}
