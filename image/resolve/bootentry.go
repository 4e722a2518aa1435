package resolve

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"imprint/bootloader"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/internal/tree"
	"imprint/partition"
)

// bootNames holds the names of boot files in use, in lower case, since FAT ignores case.
type bootNames map[string]bootloader.Source

// find returns the boot file of that name.
func (b bootNames) find(base string) (bootloader.Source, bool) {
	known, ok := b[strings.ToLower(bootName(base))]
	return known, ok
}

// own returns a name for a boot file. If another content has the name, it gets a number.
func (b bootNames) own(base string, content tree.Blob) string {
	base = bootName(base)
	name := base
	for n := 2; ; n++ {
		known, taken := b[strings.ToLower(name)]
		switch {
		case !taken:
			b[strings.ToLower(name)] = bootloader.Source{Name: name, Content: content}
			return name
		case known.Content == content:
			return known.Name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// maxBootName is the maximum length of a boot file's name in bytes: firmware and loaders handle long paths badly.
const maxBootName = 120

// bootName replaces the characters of a name that some file system or loader configuration does not take.
func bootName(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < 128 && (c == '.' || c == '_' || c == '+' || c == '-' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '_'
	}, name)
	return name[:min(len(name), maxBootName)]
}

// checkEntries warns about entries that are valid but would probably not boot.
func (w world) checkEntries(p *plan.Plan, store *closures.Union, boot *boot) {
	titles := map[string]bool{}
	for i, e := range p.Entries {
		d := boot.entries[i]
		if titles[e.Title] {
			w.warn(d.title, fmt.Sprintf("the menu has another entry %q", e.Title), "give each entry its own title")
		}
		titles[e.Title] = true
		for k, initrd := range e.Initrd {
			if initrd.Content.Size() == 0 {
				w.warn(d.initrds[k], "is an empty file", "")
			}
		}
		w.checkRoot(d, e)
		w.checkInit(p, store, d, e)
	}
	w.checkVolatile(p)
	w.checkFree(p)
}

// word returns the value of the last NAME=VALUE on a kernel command line, which is the one that counts.
func word(cmdline, name string) (value string, found bool) {
	for word := range strings.FieldsSeq(cmdline) {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			value, found = v, true
		}
	}
	return value, found
}

// checkRoot warns about a Linux entry that cannot find a root file system. Other programs, such as memtest, need none.
func (w world) checkRoot(d bootEntry, e bootloader.Entry) {
	kernel, err := bootloader.ProgramOf(e.Kernel.Content)
	if _, ok := word(e.Cmdline, "root"); !ok && !e.Plain && len(e.Initrd) == 0 && err == nil && kernel.Linux {
		w.warn(d.key, "has neither an initrd nor root= in cmdline: the kernel finds no root file system unless an initrd is built in",
			`add initrd, or root= to cmdline, as in "root=PARTUUID=${partition.root.partuuid}"`)
	}
}

// starting are the words of a command line that name what runs first on the root file system: of Linux and most initrds, and of Guix's initrd.
var starting = []string{"init", "gnu.load"}

// programs are what the kernel tries to start without init= (Linux, init/main.c).
var programs = []string{"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"}

// checkInit warns about an entry whose root file system has nothing to start, or a program for another architecture.
func (w world) checkInit(p *plan.Plan, store *closures.Union, d bootEntry, e bootloader.Entry) {
	init, named := "", false
	for _, name := range starting {
		if value, ok := word(e.Cmdline, name); ok {
			init, named = value, true
		}
	}
	if _, hasRoot := word(e.Cmdline, "root"); !named && hasRoot && len(store.Items) > 0 && !hasProgram(p) {
		w.warn(d.cmdline.Key, "has no init=, and no partition has one of "+strings.Join(programs, ", "), `add it, as in "init=${closure.system}/init"`)
	}
	at, err := store.Walker.File(init)
	if err != nil {
		return // dangling warns about that
	}
	head, err := tree.ReadHead(at.Node.Inode().Blob(), 64)
	if arch := bootloader.ELFArch(head); err == nil && arch != "" && w.d.Arch.V != "" && arch != w.d.Arch.V {
		w.warn(d.cmdline.Key, fmt.Sprintf("%s is for %s, but the image is for %s", at.Path, arch, w.d.Arch.V), "")
	}
}

// hasProgram reports whether any partition has a program that the kernel would start without init=. It does not know which
// partition will be root.
func hasProgram(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Partitions, func(part *plan.Partition) bool {
		return part.Spec.Tree != nil && slices.ContainsFunc(programs, func(name string) bool { return hasPath(part.Spec.Tree, name) })
	})
}

// hasPath reports whether a path exists, or may exist because of a symlink on the way.
func hasPath(t *tree.Tree, name string) bool {
	for ; name != "/"; name = path.Dir(name) {
		if n := t.Find(name); n != nil {
			return n.Kind() != tree.Dir
		}
	}
	return false
}

// checkVolatile warns about a volatile root file system in an image without an initrd, which would have to make it so.
func (w world) checkVolatile(p *plan.Plan) {
	root := w.d.Root()
	if root == nil || !root.Volatile.V || !root.Volatile.Written() {
		return
	}
	if !slices.ContainsFunc(p.Entries, func(e bootloader.Entry) bool { return len(e.Initrd) > 0 }) {
		w.warn(root.Volatile.Key, "has no effect: it needs an initrd, and no boot entry has one", "add initrd to a [[boot.entry]]")
	}
}

// checkFree warns about a writable root file system that would be full at the first boot.
func (w world) checkFree(p *plan.Plan) {
	root := w.d.Root()
	if root == nil || len(p.Entries) == 0 || root.Volatile.V || !partition.Named(root.Filesystem.V).Writable {
		return
	}
	grows := root.GrowAtBoot.V || root.Grow.V || slices.ContainsFunc(root.Flags.Items, func(f description.Value[description.Flag]) bool { return f.V == partition.FlagGrowFS })
	if root.Size.V.Auto && !root.Free.Written() && !root.MinSize.Written() && !grows {
		w.warn(root.Key, "is only as large as its content, so the running system has almost no free space",
			`add free = "1GiB", for example, or free = 0 if something else enlarges it first`)
	}
}
