package image

import (
	"context"
	"os"
	"path/filepath"

	"imprint/bootloader"
	"imprint/internal/tree"
)

// deviceTree finds the device tree of an entry, or a directory of them, in the store or on the host.
func (r *resolver) deviceTree(ctx context.Context, key string, text Template, rootName string, e *bootEntry) bootloader.DeviceTree {
	name, inStore := r.bootPath(key, text)
	if name == "" {
		return bootloader.DeviceTree{}
	}
	if !inStore {
		if info, err := os.Stat(r.path(name)); err == nil && info.IsDir() {
			return r.hostDeviceTrees(ctx, key, name)
		}
		return bootloader.DeviceTree{Source: r.hostBootFile(ctx, key, name)}
	}
	item, node, at, err := r.locate(name)
	if err != nil {
		r.problem(key, err.Error(), "")
		return bootloader.DeviceTree{}
	}
	if node.Kind() != tree.Dir {
		return bootloader.DeviceTree{Source: r.bootFile(ctx, key, text, rootName, e)}
	}
	e.items = append(e.items, rootedItem{rootName, item.Info.Path})
	own := r.ownName(bootName(item.Info.Path.Base()+"-"+filepath.Base(at)), tree.Text(at))
	d := bootloader.DeviceTree{Source: bootloader.Source{Name: own, Path: at}, Dir: true}
	for below, n := range tree.Walk("", node) {
		switch n.Kind() {
		case tree.Dir:
		case tree.Symlink:
			_, file, err := r.inStore(at + below)
			if err != nil {
				r.problem(key, err.Error(), "")
				continue
			}
			d.Files = append(d.Files, bootloader.Source{Name: below, Content: file.content})
		default:
			d.Files = append(d.Files, bootloader.Source{Name: below, Content: n.Inode().Blob()})
		}
	}
	return d
}

// hostDeviceTrees reads and pins a directory of the host.
func (r *resolver) hostDeviceTrees(ctx context.Context, key, name string) bootloader.DeviceTree {
	h := &hostReader{r: r}
	h.tree(key, name)
	r.problems = append(r.problems, h.problems...)
	in := r.hosts[key]
	if in == nil {
		return bootloader.DeviceTree{}
	}
	if err := h.pinAll(ctx); err != nil {
		r.problem(key, err.Error(), "")
		return bootloader.DeviceTree{}
	}
	own := r.ownName(bootName(in.digest[len("tree:"):][:32]+"-"+filepath.Base(r.path(name))), tree.Text(in.digest))
	for _, known := range r.entries {
		if known.DeviceTree.Name == own {
			return known.DeviceTree // two entries name one directory
		}
	}
	d := bootloader.DeviceTree{Source: bootloader.Source{Name: own}, Dir: true}
	for below, n := range tree.Walk("", in.entries[0].Node) {
		switch n.Kind() {
		case tree.Dir:
		case tree.Symlink:
			r.problem(key, filepath.Join(name, below)+" is a symlink, which is not followed on the host", "name a directory without links")
		default:
			d.Files = append(d.Files, bootloader.Source{Name: below, Content: n.Inode().Blob()})
		}
	}
	return d
}
