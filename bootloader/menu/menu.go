// Package menu reads the boot menus of a file system back: what firmware and boot loaders would offer. It reads the entries of the Boot
// Loader Specification (types 1 and 2), and the configurations of GRUB and of SYSLINUX, which U-Boot reads too. It is not a shell: commands
// of GRUB other than those that load a kernel are passed over.
//
// Menus come from anywhere. What is read of one is bounded, and what cannot be read is a [Problem].
package menu

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// An Entry is one line of a menu. Paths are as in the menu: relative to a file system that only the loader knows.
type Entry struct {
	File       string   // path of the menu, or of the program that is the entry
	Title      string   // "" if it has none
	Version    string   // of the system or kernel, as the entry says
	Loader     string   // of a program that holds a kernel: what starts that, and its version; "" if it does not say
	Kernel     string   // "" for a program that holds it
	Initrd     []string // in the order of loading
	DeviceTree string
	Cmdline    string
}

// A Problem is a menu that cannot be read.
type Problem struct {
	File string
	Err  error
}

// Limits of what is read of a menu.
const (
	maxMenu    = 1 << 20 // bytes of a file
	maxEntries = 1000    // of a file system
)

// Read reads all menus of a tree, in the order of the places at which loaders look.
func Read(t *tree.Tree) ([]Entry, []Problem) {
	r := &reader{tree: t}
	for _, dir := range []string{"loader/entries", "boot/loader/entries"} {
		r.dir(dir, ".conf", r.type1)
	}
	r.dir("EFI/Linux", ".efi", r.program)
	r.dir("EFI/BOOT", ".efi", r.maybeProgram)
	for _, file := range []string{"boot/grub/grub.cfg", "grub/grub.cfg", "boot/grub2/grub.cfg", "grub2/grub.cfg", "EFI/BOOT/grub.cfg"} {
		r.file(file, r.grub)
	}
	for _, dir := range []string{"extlinux", "boot/extlinux"} {
		r.file(dir+"/extlinux.conf", r.syslinux)
	}
	for _, dir := range []string{"", "boot/", "syslinux/", "boot/syslinux/"} {
		r.file(dir+"syslinux.cfg", r.syslinux)
	}
	for _, dir := range []string{"", "isolinux/", "boot/isolinux/"} {
		r.file(dir+"isolinux.cfg", r.syslinux)
	}
	return r.entries, r.problems
}

// A reader collects the entries of a tree.
type reader struct {
	tree     *tree.Tree
	entries  []Entry
	problems []Problem
	full     bool
}

// add adds an entry, up to the limit.
func (r *reader) add(e Entry) {
	if len(r.entries) < maxEntries {
		r.entries = append(r.entries, e)
	} else if !r.full {
		r.full = true
		r.problem(e.File, fmt.Errorf("more than %d entries in all menus", maxEntries))
	}
}

func (r *reader) problem(file string, err error) {
	r.problems = append(r.problems, Problem{file, err})
}

// find finds a path as FAT does, without regard to case, and returns it as it is written there. Symlinks are not followed.
func (r *reader) find(path string) (string, *tree.Node) {
	at, n := "", r.tree.Root()
	for name := range strings.SplitSeq(path, "/") {
		var next *tree.Node
		for _, c := range n.Children() {
			if strings.EqualFold(c.Name, name) && (next == nil || c.Name == name) {
				next = c
			}
		}
		if next == nil {
			return "", nil
		}
		at, n = at+"/"+next.Name, next
	}
	return at, n
}

// dir reads the files of a directory whose names have a suffix.
func (r *reader) dir(path, suffix string, read func(path string, b tree.Blob)) {
	at, n := r.find(path)
	if n == nil {
		return
	}
	for _, c := range n.Children() {
		if c.Inode().Kind() == tree.File && len(c.Name) > len(suffix) && strings.EqualFold(c.Name[len(c.Name)-len(suffix):], suffix) && !r.full {
			read(at+"/"+c.Name, c.Inode().Blob())
		}
	}
}

// file reads a file if it is there.
func (r *reader) file(path string, read func(path string, b tree.Blob)) {
	if at, n := r.find(path); n != nil && n.Inode().Kind() == tree.File {
		read(at, n.Inode().Blob())
	}
}

// text returns the text of a menu.
func (r *reader) text(file string, b tree.Blob) (string, bool) {
	text, err := tree.ReadAll(b, maxMenu)
	if err != nil {
		r.problem(file, err)
		return "", false
	}
	return string(text), true
}

// cutKey cuts a line into its first word and the rest.
func cutKey(line string) (key, value string) {
	line = strings.TrimSpace(line)
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimSpace(line[i:])
}

// type1 reads a file with one entry (Boot Loader Specification, "Type #1").
func (r *reader) type1(file string, b tree.Blob) {
	text, ok := r.text(file, b)
	if !ok {
		return
	}
	e := Entry{File: file}
	var options []string
	for line := range strings.Lines(text) {
		switch key, value := cutKey(line); key {
		case "title":
			e.Title = value
		case "version":
			e.Version = value
		case "linux", "efi", "uki":
			e.Kernel = value
		case "initrd":
			e.Initrd = append(e.Initrd, value)
		case "devicetree":
			e.DeviceTree = value
		case "options":
			options = append(options, value)
		}
	}
	e.Cmdline = strings.Join(options, " ")
	r.add(e)
}

// syslinux reads a menu of SYSLINUX's language (syslinux.txt; U-Boot, doc/README.pxe). Keywords may have any case.
func (r *reader) syslinux(file string, b tree.Blob) {
	text, ok := r.text(file, b)
	if !ok {
		return
	}
	var e *Entry
	end := func() {
		if e != nil && e.Kernel != "" {
			r.add(*e)
		}
		e = nil
	}
	for line := range strings.Lines(text) {
		key, value := cutKey(line)
		if strings.EqualFold(key, "label") {
			end()
			e = &Entry{File: file, Title: value}
		}
		if e == nil {
			continue
		}
		switch strings.ToLower(key) {
		case "menu":
			if word, title := cutKey(value); strings.EqualFold(word, "label") {
				e.Title = strings.Replace(title, "^", "", 1) // which marks a key
			}
		case "kernel", "linux":
			e.Kernel = value
		case "initrd":
			e.Initrd = strings.Split(value, ",")
		case "fdt", "devicetree", "fdtdir", "devicetreedir":
			e.DeviceTree = value
		case "append":
			e.append(value)
		}
	}
	end()
}

// append sets the command line; SYSLINUX takes initrds from it.
func (e *Entry) append(value string) {
	var words []string
	for word := range strings.FieldsSeq(value) {
		if list, ok := strings.CutPrefix(word, "initrd="); ok {
			e.Initrd = strings.Split(list, ",")
			continue
		}
		words = append(words, word)
	}
	e.Cmdline = strings.Join(words, " ")
}
