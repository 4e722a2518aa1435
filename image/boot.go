package image

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/internal/tree"
)

// A bootEntry is a [[boot.entry]] whose kernel and initrds are found.
type bootEntry struct {
	bootloader.Entry
	cmdline Template
	items   []rootedItem
}

// A rootedItem is an item that holds a boot file, and the name of the GC root that keeps it.
type rootedItem struct {
	name string
	path closure.Path
}

// boot finds the kernels and initrds of all entries and the loader's binary. Command lines stay as they are written: what they
// refer to is chosen later.
func (r *resolver) boot(ctx context.Context) error {
	titles := make([]bootloader.Entry, len(r.d.Boot.Entry))
	for i, e := range r.d.Boot.Entry {
		titles[i].Title = e.Title
	}
	for i, id := range bootloader.IDs(titles) {
		d, key := r.d.Boot.Entry[i], r.entryKey(i)
		e := bootEntry{Entry: bootloader.Entry{Title: d.Title}, cmdline: d.Cmdline}
		e.Kernel = r.bootFile(ctx, key+".kernel", d.Kernel, "boot-"+id+"-kernel", &e)
		for k, text := range d.Initrd {
			e.Initrd = append(e.Initrd, r.bootFile(ctx, fmt.Sprintf("%s.initrd[%d]", key, k), text, fmt.Sprintf("boot-%s-initrd-%d", id, k), &e))
		}
		r.entries = append(r.entries, e)
	}
	return r.findInputs(ctx)
}

// bootFile finds a kernel or initrd: in a store item of the image, following links as the booted system would, or on the host.
func (r *resolver) bootFile(ctx context.Context, key string, text Template, rootName string, e *bootEntry) bootloader.Source {
	if refs, _ := text.references(); slices.ContainsFunc(refs, func(ref Reference) bool { return ref.Kind != "closure" }) {
		r.problem(key, "a file cannot be named by an identifier that is chosen after it is found", "use ${closure.NAME}")
		return bootloader.Source{}
	}
	name := text.Expand(r.closureReference)
	if !strings.HasPrefix(name, r.flavor.StoreDir+"/") {
		return r.hostBootFile(ctx, key, name)
	}
	item, file, err := r.inStore(name)
	if err != nil {
		r.problem(key, err.Error(), "")
		return bootloader.Source{}
	}
	e.items = append(e.items, rootedItem{rootName, item.Info.Path})
	return bootloader.Source{Name: r.bootName(item.Info.Path.Base()+"-"+file.name, file.content), Path: file.path, Content: file.content}
}

func (r *resolver) hostBootFile(ctx context.Context, key, name string) bootloader.Source {
	in := r.hostFile(ctx, key, name)
	if in == nil {
		return bootloader.Source{}
	}
	name = in.digest[len("sha256:"):][:32] + "-" + filepath.Base(name)
	return bootloader.Source{Name: r.bootName(name, in.blob), Content: in.blob}
}

// maxBootName keeps the names of boot files below what FAT and command lines of firmware bear.
const maxBootName = 120

// bootName makes the name of a boot file one that every file system takes, and that no other content has.
func (r *resolver) bootName(name string, content tree.Blob) string {
	name = strings.Map(func(c rune) rune {
		if c < 128 && (c == '.' || c == '_' || c == '+' || c == '-' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '_'
	}, name)
	base := name[:min(len(name), maxBootName)]
	name = base
	for n := 2; r.bootNames[name] != nil && r.bootNames[name] != content; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	r.bootNames[name] = content
	return name
}

// maxLinks is how many symlinks are followed one after another before they count as a loop, as in Linux.
const maxLinks = 40

// inStore finds the file that a path in the store leads to, and the item that holds it.
func (r *resolver) inStore(name string) (*Item, bootFile, error) {
	at := path.Clean(name)
	for range maxLinks {
		item, rest, err := r.split(at)
		if err != nil {
			return nil, bootFile{}, fmt.Errorf("%s: %v", name, err)
		}
		n, next := descend(item, rest)
		switch {
		case next != "":
			at = next
		case n == nil:
			return nil, bootFile{}, fmt.Errorf("%s: there is no %s", name, at)
		case n.Inode().Kind() != tree.File:
			return nil, bootFile{}, fmt.Errorf("%s: %s is a %v", name, at, n.Kind())
		default:
			return item, bootFile{path.Base(at), at, n.Inode().Blob()}, nil
		}
	}
	return nil, bootFile{}, fmt.Errorf("%s: more than %d symbolic links", name, maxLinks)
}

// A bootFile is a file that a boot entry names, by its last name and by its path without links.
type bootFile struct {
	name    string
	path    string
	content tree.Blob
}

// descend goes down from an item along rest. It gives the node there, or nil; or, where it comes by a symlink, the path to go on with.
func descend(item *Item, rest string) (n *tree.Node, next string) {
	n, here := item.Node, item.Info.Path.String()
	for {
		if n.Kind() == tree.Symlink {
			return nil, follow(path.Dir(here), n.Target(), rest)
		}
		if rest == "" {
			return n, ""
		}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if n = n.Child(name); n == nil {
			return nil, ""
		}
		here += "/" + name
	}
}

// follow is the path that a symlink in dir leads to, with the rest behind it.
func follow(dir, target, rest string) string {
	if path.IsAbs(target) {
		return path.Join(target, rest)
	}
	return path.Join(dir, target, rest)
}

// split cuts a path in the store into its item and the rest.
func (r *resolver) split(at string) (*Item, string, error) {
	below, ok := strings.CutPrefix(at, r.flavor.StoreDir+"/")
	if !ok {
		return nil, "", fmt.Errorf("leads to %s, outside the store", at)
	}
	base, rest, _ := strings.Cut(below, "/")
	p, err := r.flavor.ParsePath(r.flavor.StoreDir + "/" + base)
	if err != nil {
		return nil, "", err
	}
	item := r.items[p]
	if item == nil {
		return nil, "", fmt.Errorf("leads to %v, which is in no closure of the image", p)
	}
	return item, rest, nil
}
