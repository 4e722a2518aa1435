package image

import (
	"fmt"
	"path"
	"strings"

	"imprint/partition"
)

// Bounds of Linux (limits.h).
const (
	maxName   = 255  // bytes of a file's name
	maxTarget = 4095 // bytes of a symlink's target
)

// filesystem checks that a partition says what its file system can hold.
func (c *checker) filesystem(key string, p PartitionDescription) {
	switch p.Filesystem {
	case filesystemNone:
		switch filled := c.filledByLoader(p); {
		case filled && p.Content != "":
			c.report(key+".content", "is GRUB's core image, which the boot loader brings", "leave it out")
		case !filled && p.Content == "" && p.Size.Bytes == 0:
			c.report(key+".content", `is required with filesystem = "none"`, "name the file whose bytes the partition holds, or give a size")
		}
		c.without(key, filesystemNone, "free", "label", "uuid", "engine", "features", "closures", "dir", "file", "link", "tree")
		return
	case filesystemFAT:
		c.without(key, filesystemFAT, "content", "engine", "features", "closures", "link")
		c.withoutOwners(key, p)
		if p.UUID != "" && (!fatSerial.MatchString(p.UUID) || p.UUID == "0000-0000") {
			c.report(key+".uuid", fmt.Sprintf("%q is not the ID of a FAT volume", p.UUID), `eight hexadecimal digits, as in "1234-ABCD"`)
		}
	case filesystemExt4:
		c.without(key, filesystemExt4, "content")
		c.uuid(key+".uuid", p.UUID)
		c.features(key+".features", p)
	}
	c.label(key+".label", p)
	c.content(key, p)
}

// filledByLoader tells whether the boot loader has the content of a partition.
func (c *checker) filledByLoader(p PartitionDescription) bool {
	return c.d.Boot.Loader == loaderGRUB && typeName(p.Type) == "bios-boot"
}

// features refuses those that the engine does not have.
func (c *checker) features(key string, p PartitionDescription) {
	if p.Engine == engineMke2fs && len(p.Features) > 0 {
		c.report(key, `does not go with engine = "mke2fs"`, "leave out engine: the native one can")
		return
	}
	if err := partition.CheckFeatures(p.Features); err != nil {
		c.report(key, err.Error(), "")
	}
}

// reasons are hints on why a file system excludes a key.
var reasons = map[string]string{
	"fat closures":     "a store needs ext4: FAT has neither links nor owners",
	"iso9660 type":     "it is no entry of a partition table",
	"iso9660 partuuid": "it is no entry of a partition table: an ISO is found by ${iso.uuid}",
	"iso9660 uuid":     "it is derived, and ${iso.uuid} says it",
	"iso9660 size":     "an ISO is as large as its content",
	"iso9660 min-size": "an ISO is as large as its content",
	"iso9660 free":     "an ISO is as large as its content, and nothing is written to it",
	"iso9660 content":  `it is for filesystem = "none"`,
	"squashfs type":    "it is a file of the ISO",
	"squashfs size":    "it is as large as its content",
	"squashfs free":    "it is as large as its content, and nothing is written to it",
	"squashfs label":   "squashfs has none",
	"squashfs uuid":    "squashfs has none",
	"erofs type":       "it is a file of the ISO",
	"erofs size":       "it is as large as its content",
	"erofs free":       "it is as large as its content, and nothing is written to it",
	"erofs label":      "it is never mounted by label",
	"erofs uuid":       "it is never mounted by UUID",
	"fat link":         "FAT has no symbolic links",
	"fat engine":       "FAT has one engine",
	"fat content":      `it is for filesystem = "none"`,
	"ext4 content":     `it is for filesystem = "none"`,
}

// without reports keys that do not go with the file system.
func (c *checker) without(key, filesystem string, names ...string) {
	for _, name := range names {
		if c.d.has(key + "." + name) {
			hint := reasons[filesystem+" "+name]
			if hint == "" && c.d.Format == formatISO {
				hint = "leave it out: xorriso lays the ISO out"
			}
			c.report(key+"."+name, fmt.Sprintf("does not go with filesystem = %q", filesystem), hint)
		}
	}
}

// withoutOwners reports what FAT keeps of no file.
func (c *checker) withoutOwners(key string, p PartitionDescription) {
	for _, list := range []struct {
		name string
		n    int
	}{{"dir", len(p.Dir)}, {"file", len(p.File)}} {
		for i := range list.n {
			for _, attribute := range []string{"mode", "uid", "gid"} {
				c.without(fmt.Sprintf("%s.%s[%d]", key, list.name, i), filesystemFAT, attribute)
			}
		}
	}
}

// content checks the directories, files, links and trees of a partition.
func (c *checker) content(key string, p PartitionDescription) {
	taken := unique{}
	add := func(key, path string) {
		c.absolute(key, path)
		c.unique(taken, key, path, "the path")
	}
	for i, d := range p.Dir {
		add(fmt.Sprintf("%s.dir[%d].path", key, i), d.Path)
	}
	for i, f := range p.File {
		at := fmt.Sprintf("%s.file[%d]", key, i)
		add(at+".path", f.Path)
		c.notRoot(at+".path", f.Path)
		c.file(at, f)
	}
	for i, l := range p.Link {
		at := fmt.Sprintf("%s.link[%d]", key, i)
		add(at+".path", l.Path)
		c.notRoot(at+".path", l.Path)
		c.link(at, l)
	}
	for i, t := range p.Tree {
		c.absolute(fmt.Sprintf("%s.tree[%d].target", key, i), t.Target)
	}
}

// absolute checks a path in the image; one that is absent is told elsewhere.
func (c *checker) absolute(key, text string) {
	if text == "" {
		return
	}
	if clean := path.Clean("/" + text); text != clean {
		c.report(key, fmt.Sprintf("%q is not an absolute path without empty parts, . and ..", text), fmt.Sprintf("did you mean %q?", clean))
		return
	}
	for name := range strings.SplitSeq(text, "/") {
		if len(name) > maxName {
			c.report(key, fmt.Sprintf("has a name of %d bytes in it, more than %d", len(name), maxName), "")
		}
	}
}

func (c *checker) notRoot(key, path string) {
	if path == "/" {
		c.report(key, `"/" is a directory`, "")
	}
}

func (c *checker) file(key string, f FileDescription) {
	text, source := c.d.has(key+".text"), c.d.has(key+".source")
	switch {
	case text && source:
		c.report(key+".source", "excludes text: a file has one content", "leave one of the two out")
	case !text && !source && !c.told[key+".text"] && !c.told[key+".source"]:
		c.report(key, "has neither text nor source", `an empty file has text = ""`)
	}
	if f.Text != nil {
		c.template(key+".text", *f.Text)
	}
}

func (c *checker) link(key string, l LinkDescription) {
	target := key + ".target"
	c.template(target, l.Target)
	c.path(target, l.Target)
	if n := len(l.Target); l.Target.literal() && n > maxTarget {
		c.report(target, fmt.Sprintf("is %d bytes long, more than %d", n, maxTarget), "")
	}
}
