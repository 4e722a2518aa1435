package resolve

import (
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"imprint/bootloader"
	"imprint/image/description"
	"imprint/image/trees"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// inTree finds what a pattern matches in the tree of a partition; n is nil after a problem.
func (f *bootFinder) inTree(key diag.Key, partition string, pattern description.Template, dirs bool) (t *trees.Tree, at string, n *tree.Node) {
	for i, p := range f.d.Partition.Items {
		if p.Name.V != partition || f.stated[i] == nil {
			continue
		}
		at, n, err := f.stated[i].File(pattern.Expand(f.store.Reference), dirs)
		if err != nil {
			f.problems = append(f.problems, key.ProblemOf(err))
			return nil, "", nil
		}
		return f.stated[i], at, n
	}
	return nil, "", nil // which Parse has reported
}

// treeFile finds a kernel or initrd in the tree of a partition. A copy of it has a name that begins with its digest, as that of a host file has.
func (f *bootFinder) treeFile(key diag.Key, partition string, pattern description.Template) bootloader.Source {
	_, at, n := f.inTree(key, partition, pattern, false)
	if n == nil {
		return bootloader.Source{}
	}
	return f.treeSource(partition, at, n.Blob())
}

func (f *bootFinder) treeSource(partition, at string, content tree.Blob) bootloader.Source {
	base := path.Base(at)
	if sum, ok := tree.PinOf(content); ok { // a text of the description has none
		base = hex.EncodeToString(sum[:16]) + "-" + base
	}
	return bootloader.Source{Name: f.names.own(base, content), Path: at, Partition: partition, Content: content}
}

// treeDeviceTree finds the device tree of an entry, or a directory of device trees, in the tree of a partition.
func (f *bootFinder) treeDeviceTree(key diag.Key, partition string, pattern description.Template) bootloader.DeviceTree {
	t, at, n := f.inTree(key, partition, pattern, true)
	switch {
	case n == nil:
		return bootloader.DeviceTree{}
	case n.Kind() == tree.File:
		return bootloader.DeviceTree{Source: f.treeSource(partition, at, n.Blob())}
	}
	name := f.names.own(strings.ReplaceAll(strings.Trim(at, "/"), "/", "-"), tree.Text(at))
	d := bootloader.DeviceTree{Source: bootloader.Source{Name: name, Path: at, Partition: partition}, Dir: true}
	for below, found := range tree.Walk("", n) {
		if found.Kind() == tree.Symlink {
			to, _ := t.Follow(at + below)
			if to == nil || to.Kind() != tree.File {
				f.problem(key, fmt.Sprintf("%s is a symlink that leads to no file", tree.Shown(at+below)), "")
				continue
			}
			found = to
		}
		if found = found.Inode(); found.Kind() == tree.File {
			d.Files = append(d.Files, bootloader.Source{Name: below, Content: found.Blob()})
		}
	}
	return d
}
