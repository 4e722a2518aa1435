package disk

import (
	"fmt"
	"path"
	"strings"

	"imprint/bootloader/menu"
	"imprint/internal/fault"
	"imprint/internal/tree"
)

// menus reports entries of boot menus in a region whose files are not there.
func (d *Disk) menus(r *Region, report fault.Report) {
	entries, problems := menu.Read(r.Volume.Tree)
	for _, p := range problems {
		report(fault.Fault{Offset: -1, Path: p.File, Object: "boot menu", Text: p.Err.Error()})
	}
	for _, e := range entries {
		files := append([]string{e.Kernel, e.DeviceTree}, e.Initrd...)
		for _, file := range files {
			if isPlainPath(file) && !d.hasFile(r, e, file) {
				report(fault.Fault{Offset: -1, Path: e.File, Object: "boot entry", Text: fmt.Sprintf("%.200q: there is no %.500q", e.Title, file)})
			}
		}
	}
}

// isPlainPath reports whether a word of a menu is a path without variables and devices, and no module of the loader.
func isPlainPath(file string) bool {
	return file != "" && !strings.ContainsAny(file, "$*?()") && !strings.HasSuffix(file, ".c32")
}

// hasFile reports whether the file of an entry is there: in the region of the menu, where the Boot Loader Specification wants it, or for other
// menus in any region, since they may search for a partition. One that cannot be read may have it.
func (d *Disk) hasFile(r *Region, e menu.Entry, file string) bool {
	file = strings.ReplaceAll(file, `\`, "/")
	if !strings.HasPrefix(file, "/") && leads(r, path.Join(path.Dir(e.File), file)) || leads(r, file) {
		return true
	}
	if strings.Contains(e.File, "/entries/") {
		return false
	}
	for _, other := range d.Regions {
		if other.Volume == nil && other.In == nil || other.Volume != nil && leads(other, file) {
			return true
		}
	}
	return false
}

// mostLinks is how many symlinks may lead to a file, as in Linux.
const mostLinks = 40

// leads reports whether a path leads to something in a region, through symlinks, and on FAT in any case.
func leads(r *Region, file string) bool {
	rest, at, n := strings.Split(path.Clean("/"+file), "/"), "/", r.Volume.Tree.Root()
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" {
			continue
		}
		child := n.Child(name)
		if child == nil && !r.Volume.Filesystem.Owners {
			child = folded(n, name)
		}
		if child == nil {
			return false
		}
		if child.Inode().Kind() != tree.Symlink {
			at, n = path.Join(at, name), child
			continue
		}
		if links++; links > mostLinks {
			return false
		}
		target := child.Inode().Target()
		if !path.IsAbs(target) {
			target = path.Join(at, target)
		}
		rest = append(strings.Split(path.Clean(target), "/"), rest...)
		at, n = "/", r.Volume.Tree.Root()
	}
	return true
}

// folded is the child of that name in upper or lower case.
func folded(n *tree.Node, name string) *tree.Node {
	for _, c := range n.Children() {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return nil
}
