package bootloader

import (
	"fmt"
	"strings"
)

// config returns grub.cfg, and the kernels and initrds to copy to home. GRUB finds every partition by the UUID of its file
// system, since the numbering of disks depends on the machine.
func (grub) config(c Config, home Partition) (string, []File) {
	own := shelf{partition: home, dir: "/EFI/imprint"}
	if home.Store || home.Filesystem == "iso9660" {
		own.dir = "/boot"
	}
	if p, ok := c.find("xbootldr"); ok {
		own.partition = p
	}
	if p, ok := c.store(); ok && !c.CopyKernel {
		own.store = &p
	}
	s := shelves{own, own}
	s.generations.dir, s.generations.name = strings.TrimPrefix(own.dir, "/EFI/imprint")+"/kernels", kernelsName
	ids := IDs(c.Entries)
	var b strings.Builder
	if unit, speed, ok := c.serialLine(); ok {
		const both = "  terminal_input console serial\n  terminal_output console serial\n"
		fmt.Fprintf(&b, "if serial --unit=%s --speed=%s; then\n%sfi\n", unit, speed, both)
	}
	// The default is given by number: GRUB would take a name that begins with digits for one.
	fmt.Fprintf(&b, "set default=%d\nset timeout=%d\n", c.Default, c.Timeout)
	for i, e := range c.Entries {
		b.WriteString(s.of(&e).menuEntry(e, ids[i]))
	}
	return b.String(), s.files()
}

// menuEntry returns one entry of the menu, with a variable for each partition that it reads.
func (s *shelf) menuEntry(e Entry, id string) string {
	var search, load strings.Builder
	found := map[string]bool{}
	word := func(src Source) string {
		p, path := s.put(src)
		disk := fmt.Sprintf("disk%d", p.Number)
		if !found[disk] {
			fmt.Fprintf(&search, "  search --no-floppy --fs-uuid --set=%s %s\n", disk, p.VolumeID)
			found[disk] = true
		}
		return " ($" + disk + ")" + grubWord(path)
	}
	load.WriteString("  linux" + word(e.Kernel))
	for _, w := range strings.FieldsFunc(e.Cmdline, func(r rune) bool { return r == ' ' }) {
		load.WriteString(" " + grubWord(w))
	}
	if len(e.Initrd) > 0 {
		load.WriteString("\n  initrd")
	}
	for _, src := range e.Initrd {
		load.WriteString(word(src))
	}
	return fmt.Sprintf("menuentry --id %s -- %s {\n%s%s\n}\n", grubWord(id), grubWord(e.Title), search.String(), load.String())
}

// grubWord quotes a word that may have a meaning in GRUB's scripts.
func grubWord(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !isPlain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
