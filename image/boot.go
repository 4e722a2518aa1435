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
	loader, err := bootloader.Named(r.d.Boot.Loader)
	if err != nil {
		return err
	}
	required := loader.Requires(r.d.machine())
	titles := make([]bootloader.Entry, len(r.d.Boot.Entry))
	for i, e := range r.d.Boot.Entry {
		titles[i].Title = e.Title
	}
	for i, id := range bootloader.IDs(titles) {
		d, key := r.d.Boot.Entry[i], r.entryKey(i)
		e := bootEntry{Entry: bootloader.Entry{Title: d.Title}, cmdline: d.Cmdline}
		e.Kernel = r.bootFile(ctx, key+".kernel", d.Kernel, "boot-"+id+"-kernel", &e)
		r.checkProgram(key+".kernel", e.Kernel.Content, required.EFIKernel)
		for k, text := range d.Initrd {
			e.Initrd = append(e.Initrd, r.bootFile(ctx, fmt.Sprintf("%s.initrd[%d]", key, k), text, fmt.Sprintf("boot-%s-initrd-%d", id, k), &e))
		}
		if d.DeviceTree != "" {
			e.DeviceTree = r.deviceTree(ctx, key+".devicetree", d.DeviceTree, "boot-"+id+"-devicetree", &e)
		}
		r.entries = append(r.entries, e)
	}
	return r.findInputs(ctx, required.Inputs)
}

// checkProgram reports a program that the machine cannot start: one for another architecture, or, where the firmware starts it, no EFI
// program at all.
func (r *resolver) checkProgram(key string, program tree.Blob, efi bool) {
	if program == nil { // which is told
		return
	}
	hint := ""
	if key != "boot.efi-binary" {
		hint = "a kernel with an EFI stub is one, as bzImage and Image are; vmlinux and compressed ones are not"
	}
	p, err := bootloader.ProgramOf(program)
	switch {
	case err != nil:
		r.problem(key, err.Error(), "")
	case efi && !p.EFI:
		r.problem(key, fmt.Sprintf("%s is no EFI program, and %s has the firmware start it", hostName(program), r.d.Boot.Loader), hint)
	case p.Arch != "" && r.d.Arch != "" && p.Arch != r.d.Arch:
		r.problem(key, fmt.Sprintf("%s is for %s, and the image for %s", hostName(program), p.Arch, r.d.Arch), "")
	}
}

// bootFile finds a kernel or initrd: in a store item of the image, following links as the booted system would, or on the host.
func (r *resolver) bootFile(ctx context.Context, key string, text Template, rootName string, e *bootEntry) bootloader.Source {
	name, inStore := r.bootPath(key, text)
	switch {
	case name == "":
		return bootloader.Source{}
	case !inStore:
		return r.hostBootFile(ctx, key, name)
	}
	item, file, err := r.inStore(name)
	if err != nil {
		r.problem(key, err.Error(), "")
		return bootloader.Source{}
	}
	e.items = append(e.items, rootedItem{rootName, item.Info.Path})
	own := r.ownName(bootName(item.Info.Path.Base()+"-"+file.name), file.content)
	return bootloader.Source{Name: own, Path: file.path, Content: file.content}
}

// bootPath is the path that a boot file is given by, "" when there is a problem with it, and whether it is one of the store.
func (r *resolver) bootPath(key string, text Template) (name string, inStore bool) {
	if refs, _ := text.references(); slices.ContainsFunc(refs, func(ref Reference) bool { return ref.Kind != "closure" }) {
		r.problem(key, "a file cannot be named by an identifier that is chosen after it is found", "use ${closure.NAME}")
		return "", false
	}
	name = text.Expand(r.closureReference)
	return name, strings.HasPrefix(name, r.flavor.StoreDir+"/")
}

func (r *resolver) hostBootFile(ctx context.Context, key, name string) bootloader.Source {
	in := r.hostFile(ctx, key, name)
	if in == nil {
		return bootloader.Source{}
	}
	name = bootName(in.digest[len("sha256:"):][:32] + "-" + filepath.Base(name))
	if same, ok := r.bootNames[strings.ToLower(name)]; ok {
		in.blob = same.Content // two entries name one file
	}
	return bootloader.Source{Name: r.ownName(name, in.blob), Content: in.blob}
}

// maxBootName keeps the names of boot files below what FAT and command lines of firmware bear.
const maxBootName = 120

// bootName makes the name of a boot file one that every file system takes.
func bootName(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < 128 && (c == '.' || c == '_' || c == '+' || c == '-' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '_'
	}, name)
	return name[:min(len(name), maxBootName)]
}

// ownName is the name of a boot file, with a number where another content has it already, in whatever case.
func (r *resolver) ownName(base string, content tree.Blob) string {
	name := base
	for n := 2; ; n++ {
		known, taken := r.bootNames[strings.ToLower(name)]
		switch {
		case !taken:
			r.bootNames[strings.ToLower(name)] = bootloader.Source{Name: name, Content: content}
			return name
		case known.Content == content:
			return known.Name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// maxLinks is how many symlinks are followed one after another before they count as a loop, as in Linux.
const maxLinks = 40

// inStore finds the file that a path in the store leads to, and the item that holds it.
func (r *resolver) inStore(name string) (*Item, bootFile, error) {
	item, n, at, err := r.locate(name)
	if err != nil {
		return nil, bootFile{}, err
	}
	if n.Inode().Kind() != tree.File {
		return nil, bootFile{}, fmt.Errorf("%s: %s is a %v", name, at, n.Kind())
	}
	return item, bootFile{path.Base(at), at, n.Inode().Blob()}, nil
}

// locate finds what a path in the store leads to, the item that holds it, and its path without links.
func (r *resolver) locate(name string) (*Item, *tree.Node, string, error) {
	at := path.Clean(name)
	for range maxLinks {
		item, rest, err := r.split(at)
		if err != nil {
			return nil, nil, "", fmt.Errorf("%s: %v", name, err)
		}
		n, next := descend(item, rest)
		switch {
		case next != "":
			at = next
		case n == nil:
			return nil, nil, "", fmt.Errorf("%s: there is no %s", name, at)
		default:
			return item, n, at, nil
		}
	}
	return nil, nil, "", fmt.Errorf("%s: more than %d symbolic links", name, maxLinks)
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
