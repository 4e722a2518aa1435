package resolve

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/trees"
	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A boot is what the image boots: entries with their kernels and initrds found, and the files that the loader is made of.
// Command lines are still templates, since the identifiers in them are chosen later.
type boot struct {
	loader  *bootloader.Loader
	machine bootloader.Machine
	entries []bootEntry
	inputs  map[string]tree.Blob // by path below a store item or the host's /usr
	read    []tree.Blob          // those from store items, pinned since they are read twice
}

// A bootEntry is an entry of the menu: a [[boot.entry]], or one of several that a system makes.
type bootEntry struct {
	bootloader.Entry
	key     diag.Key   // in the description, for warnings about the entry
	title   diag.Key   // likewise
	initrds []diag.Key // likewise
	params  string     // the beginning of the command line, without substitutions
	cmdline description.Value[description.Template]
	items   []rootedItem

	ofSystem bool // a system says how it boots
}

// A rootedItem is an item that holds a boot file, with the end of the name of the GC root that keeps it: nothing else may refer
// to a kernel.
type rootedItem struct {
	name string
	path closure.Path
}

// A bootFinder finds boot files.
type bootFinder struct {
	world
	hosts    host.Inputs
	store    *closures.Union
	problems diag.List
	stated   []*trees.Tree // of the partitions; nil for those without one
	boot     *boot
	names    bootNames
}

// boot finds the kernels and initrds of all entries, and the files that the loader is made of. problems are those of the step before, which
// are reported together.
func (w world) boot(ctx context.Context, hosts host.Inputs, store *closures.Union, stated []*trees.Tree, problems diag.List) (*boot, error) {
	loader, err := bootloader.Named(w.d.Boot.Loader.V)
	if err != nil {
		return nil, err
	}
	f := &bootFinder{
		world: w, hosts: hosts, store: store, stated: stated, problems: problems, names: bootNames{},
		boot: &boot{loader: loader, machine: w.d.Machine()},
	}
	required := loader.Requires(f.boot.machine)
	if err := f.menu(ctx, required.EFIKernel); err != nil {
		return nil, err
	}
	if err := f.inputs(ctx, required.Inputs); err != nil {
		return nil, err
	}
	return f.boot, f.problems.Err()
}

// problem adds a problem at a key.
func (f *bootFinder) problem(key diag.Key, text, hint string) {
	f.problems = append(f.problems, key.Problem(text, hint))
}

// entry finds the files of one entry. efi says that firmware starts the kernel.
func (f *bootFinder) entry(ctx context.Context, d description.Entry, efi bool) bootEntry {
	e := bootEntry{Entry: bootloader.Entry{Title: d.Title.V, Plain: d.Plain.V, Submenu: d.Submenu.V}, key: d.Key, title: d.Title.Key, cmdline: d.Cmdline}
	e.Kernel = f.file(ctx, d.Kernel, "kernel", &e)
	if e.Kernel.Content != nil {
		f.checkKernel(d.Kernel.Key, e.Kernel, efi)
		f.checkPlain(d, e.Kernel.Content)
	}
	for k, text := range d.Initrd.Items {
		e.initrds = append(e.initrds, text.Key)
		e.Initrd = append(e.Initrd, f.file(ctx, text, fmt.Sprintf("initrd-%d", k), &e))
	}
	if d.DeviceTree.V != "" {
		e.DeviceTree = f.deviceTree(ctx, d.DeviceTree, "devicetree", &e)
	}
	return e
}

// checkPlain reports a program other than Linux that the loader cannot start.
func (f *bootFinder) checkPlain(d description.Entry, program tree.Blob) {
	if !d.Plain.V {
		return
	}
	p, err := bootloader.ProgramOf(program)
	if err != nil {
		return // which checkKernel reports
	}
	var m diag.Mistake
	if errors.As(f.boot.loader.CheckPlain(f.boot.machine, p, len(d.Initrd.Items)), &m) {
		f.problem(d.Kernel.Key, tree.HostPath(program)+" "+m.Text, m.Hint)
	}
}

// checkKernel reports a kernel that the loader cannot start.
func (f *bootFinder) checkKernel(key diag.Key, kernel bootloader.Source, efi bool) {
	name := tree.HostPath(kernel.Content)
	if kernel.Partition != "" {
		name = tree.Shown(kernel.Path) // its content is in an archive with many others
	}
	p, err := bootloader.ProgramOf(kernel.Content)
	refusal, doubt := f.boot.loader.CheckKernel(f.d.Arch.V, p)
	var m diag.Mistake
	switch {
	case err != nil || refusal == nil || efi && p.ELF: // an ELF file is no EFI program
		f.checkProgram(key, name, kernel.Content, efi, "use a kernel with an EFI stub, such as bzImage or Image; vmlinux and compressed kernels have none")
	case errors.As(refusal, &m):
		f.problem(key, name+" "+m.Text, m.Hint)
	}
	if errors.As(doubt, &m) {
		f.warn(key, name+" "+m.Text, m.Hint)
	}
}

// checkProgram reports a program for another architecture, and, if firmware starts it, one that is not an EFI program.
func (f *bootFinder) checkProgram(key diag.Key, name string, program tree.Blob, efi bool, hint string) {
	p, err := bootloader.ProgramOf(program)
	arch := f.d.Arch.V
	switch {
	case err != nil:
		f.problems = append(f.problems, key.ProblemOf(err))
	case efi && !p.EFI:
		f.problem(key, fmt.Sprintf("%s is not an EFI program, but with %s the firmware starts it", name, f.boot.loader.Name), hint)
	case p.Arch != "" && arch != "" && p.Arch != arch:
		f.problem(key, fmt.Sprintf("%s is for %s, but the image is for %s", name, p.Arch, arch), "")
	}
}

// file finds a kernel or initrd: in a store item of the image, where symlinks lead where they would in the booted system, or
// on the host.
func (f *bootFinder) file(ctx context.Context, name description.Value[description.Template], rootName string, e *bootEntry) bootloader.Source {
	if partition, pattern, ok := name.V.InTree(); ok {
		return f.treeFile(name.Key, partition, pattern)
	}
	path, inStore := f.path(name)
	switch {
	case path == "":
		return bootloader.Source{}
	case !inStore:
		return f.hostFile(ctx, name.Key, path)
	}
	return f.storeFile(name.Key, path, rootName, e)
}

// storeFile is file for a path in the store.
func (f *bootFinder) storeFile(key diag.Key, path, rootName string, e *bootEntry) bootloader.Source {
	at, err := f.store.Walker.File(path)
	if err != nil {
		f.problems = append(f.problems, key.ProblemOf(err))
		return bootloader.Source{}
	}
	e.items = append(e.items, rootedItem{rootName, at.Item})
	content := at.Node.Inode().Blob()
	own := f.names.own(at.Item.Base()+"-"+filepath.Base(at.Path), content)
	return bootloader.Source{Name: own, Path: at.Path, Item: at.Item.Base(), Content: content}
}

// path returns the path of a boot file and whether it is in the store; "" after a problem.
func (f *bootFinder) path(name description.Value[description.Template]) (path string, inStore bool) {
	if _, isInput := description.InputOf(string(name.V)); isInput {
		return string(name.V), false
	}
	refs, _ := name.V.References()
	if slices.ContainsFunc(refs, func(ref description.Reference) bool { return ref.Kind != "closure" }) {
		f.problem(name.Key, "contains an identifier, which is chosen only after files are found", "use ${closure.NAME}, or ${partition.NAME} for its tree")
		return "", false
	}
	path = name.V.Expand(f.store.Reference)
	return path, strings.HasPrefix(path, f.flavor.StoreDir+"/")
}

// keep adds an input to those of the image, where the identity finds it. It reports whether there is one.
func (f *bootFinder) keep(key diag.Key, in *host.Input, problems diag.List) bool {
	f.problems = append(f.problems, problems...)
	if in != nil {
		f.hosts[key] = in
	}
	return in != nil
}

// hostFile reads and pins a kernel or initrd on the host. Its name on the disk begins with its digest, so that two versions
// can be beside each other, as with store items.
func (f *bootFinder) hostFile(ctx context.Context, key diag.Key, name string) bootloader.Source {
	in, problems := f.host().File(ctx, key, name)
	if !f.keep(key, in, problems) {
		return bootloader.Source{}
	}
	base := filepath.Base(name)
	if called, ok := description.InputOf(name); ok {
		base = called
	}
	base = in.Short() + "-" + base
	if same, ok := f.names.find(base); ok {
		in.Blob = same.Content // two entries with the same file share its copy
	}
	return bootloader.Source{Name: f.names.own(base, in.Blob), Content: in.Blob}
}
