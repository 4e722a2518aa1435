package resolve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"imprint/bootloader"
	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// deviceTree finds the device tree of an entry, or a directory of device trees if the loader takes one.
func (f *bootFinder) deviceTree(ctx context.Context, name description.Value[description.Template], rootName string, e *bootEntry) bootloader.DeviceTree {
	d := f.deviceTrees(ctx, name, rootName, e)
	if d.Dir && !f.boot.loader.DeviceTrees {
		f.problem(name.Key, fmt.Sprintf("is a directory, but %s takes a file", f.boot.loader.Name), "name the device tree of the board in it")
	}
	return d
}

// deviceTrees finds a device tree, or a directory of them, in the store or on the host.
func (f *bootFinder) deviceTrees(ctx context.Context, name description.Value[description.Template], rootName string, e *bootEntry) bootloader.DeviceTree {
	if partition, pattern, ok := name.V.InTree(); ok {
		return f.treeDeviceTree(name.Key, partition, pattern)
	}
	path, inStore := f.path(name)
	if path == "" {
		return bootloader.DeviceTree{}
	}
	if !inStore {
		if info, err := os.Stat(f.world.path(path)); err == nil && info.IsDir() {
			return f.hostDeviceTrees(ctx, name.Key, path)
		}
		return bootloader.DeviceTree{Source: f.hostFile(ctx, name.Key, path)}
	}
	at, err := f.store.Walker.Find(path)
	if err != nil {
		f.problems = append(f.problems, name.Key.ProblemOf(err))
		return bootloader.DeviceTree{}
	}
	if at.Node.Kind() != tree.Dir {
		return bootloader.DeviceTree{Source: f.file(ctx, name, rootName, e)}
	}
	e.items = append(e.items, rootedItem{rootName, at.Item})
	own := f.names.own(at.Item.Base()+"-"+filepath.Base(at.Path), tree.Text(at.Path))
	d := bootloader.DeviceTree{Source: bootloader.Source{Name: own, Path: at.Path}, Dir: true}
	for below, n := range tree.Walk("", at.Node) {
		switch n.Kind() {
		case tree.Dir:
			continue
		case tree.Symlink:
			file, err := f.store.Walker.File(at.Path + below)
			if err != nil {
				f.problems = append(f.problems, name.Key.ProblemOf(err))
				continue
			}
			n = file.Node
		}
		d.Files = append(d.Files, bootloader.Source{Name: below, Content: n.Inode().Blob()})
	}
	return d
}

// hostDeviceTrees reads and pins a directory on the host.
func (f *bootFinder) hostDeviceTrees(ctx context.Context, key diag.Key, name string) bootloader.DeviceTree {
	in, problems := f.host().Tree(ctx, key, name)
	if !f.keep(key, in, problems) {
		return bootloader.DeviceTree{}
	}
	own := f.names.own(in.Short()+"-"+filepath.Base(f.world.path(name)), tree.Text(in.Digest))
	for _, known := range f.boot.entries {
		if known.DeviceTree.Name == own {
			return known.DeviceTree // two entries with the same directory share its copy
		}
	}
	d := bootloader.DeviceTree{Source: bootloader.Source{Name: own}, Dir: true}
	for below, n := range tree.Walk("", in.Entries[0].Node) {
		switch n.Kind() {
		case tree.Dir:
		case tree.Symlink:
			f.problem(key, filepath.Join(name, below)+" is a symlink, and symlinks on the host are not followed", "use a directory without symlinks")
		default:
			d.Files = append(d.Files, bootloader.Source{Name: below, Content: n.Inode().Blob()})
		}
	}
	return d
}
