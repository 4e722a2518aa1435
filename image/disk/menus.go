package disk

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"imprint/bootloader/menu"
	"imprint/closure"
	"imprint/internal/fault"
	"imprint/internal/tree"
)

// menus reports entries of boot menus in a region whose files, or the store items that their command lines name, are not there.
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
		for _, p := range closure.Mentions(e.Cmdline) {
			if !d.anywhere(p.String()) {
				report(fault.Fault{Offset: -1, Path: e.File, Object: "boot entry", Text: fmt.Sprintf("%.200q: there is no %s", e.Title, p)})
			}
		}
	}
}

// isPlainPath reports whether a word of a menu is a path without variables and devices, and no module of the loader.
func isPlainPath(file string) bool {
	return file != "" && !strings.ContainsAny(file, "$*?()") && !strings.HasSuffix(file, ".c32")
}

// hasFile reports whether the file of an entry is there: in the region of the menu, where the Boot Loader Specification wants it, or for other
// menus in any region, since they may search for a partition.
func (d *Disk) hasFile(r *Region, e menu.Entry, file string) bool {
	file = strings.ReplaceAll(file, `\`, "/")
	if !strings.HasPrefix(file, "/") && r.Lookup(path.Join(path.Dir(e.File), file)) != nil || r.Lookup(file) != nil {
		return true
	}
	if strings.Contains(e.File, "/entries/") {
		return false
	}
	return d.anywhere(file)
}

// anywhere reports whether a path leads to something in any region. One that cannot be read may have it.
func (d *Disk) anywhere(file string) bool {
	return d.Lookup(file) != nil || slices.ContainsFunc(d.Regions, (*Region).mayHoldMore)
}

// Lookup returns what a path leads to in the first region in which it leads to something, or nil.
func (d *Disk) Lookup(file string) *tree.Node {
	for _, r := range d.Regions {
		if n := r.Lookup(file); n != nil {
			return n
		}
	}
	return nil
}

// mostLinks is how many symlinks may lead to a file, as in Linux.
const mostLinks = 40

// Lookup returns what a path leads to in a region, through symlinks, and on FAT in any case; nil if that is nothing.
func (r *Region) Lookup(file string) *tree.Node {
	if r.Volume == nil {
		return nil
	}
	rest, at, n := r.below(file), "/", r.Volume.Tree.Root()
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
			return nil
		}
		if child.Inode().Kind() != tree.Symlink {
			at, n = path.Join(at, name), child
			continue
		}
		if links++; links > mostLinks {
			return nil
		}
		target := child.Inode().Target()
		if path.IsAbs(target) {
			rest = append(r.below(target), rest...)
		} else {
			rest = append(strings.Split(path.Join(at, target), "/"), rest...)
		}
		at, n = "/", r.Volume.Tree.Root()
	}
	return n.Inode()
}

// below returns the elements of a path of the system, from the top of the region: a store on a partition of its own is mounted below it.
func (r *Region) below(file string) []string {
	file = path.Clean("/" + file)
	for _, f := range closure.Flavors() {
		mount, _ := closure.InTree(r.Volume.Tree, f)
		if rest, ok := strings.CutPrefix(file, mount+"/"); ok && mount != "" {
			file = rest
		}
	}
	return strings.Split(file, "/")
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
