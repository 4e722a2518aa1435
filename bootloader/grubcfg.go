package bootloader

import (
	"fmt"
	"strings"
)

// config writes grub.cfg, and gives the kernels and initrds that it names where they are copied to home. Every partition is found by its
// file system's UUID.
func (grub) config(c Config, home Partition) (string, []File) {
	s := shelf{partition: home, dir: "/EFI/imprint"}
	if home.Store || home.Filesystem == "iso9660" {
		s.dir = "/boot"
	}
	if p, ok := c.find("xbootldr"); ok {
		s.partition = p
	}
	if p, ok := c.store(); ok && !c.CopyKernel {
		s.store = &p
	}
	ids := IDs(c.Entries)
	var b strings.Builder
	for _, console := range c.Console {
		if unit, speed, ok := serialLine(console); ok {
			fmt.Fprintf(&b, "serial --unit=%s --speed=%s\nterminal_input console serial\nterminal_output console serial\n", unit, speed)
			break
		}
	}
	fmt.Fprintf(&b, "set default=%s\nset timeout=%d\n", grubWord(ids[c.Default]), c.Timeout)
	for i, e := range c.Entries {
		b.WriteString(s.menuEntry(e, ids[i]))
	}
	return b.String(), s.files
}

// menuEntry is one entry of the menu, with a variable for each partition that it reads.
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
	for _, w := range strings.Fields(e.Cmdline) {
		load.WriteString(" " + grubWord(w))
	}
	if len(e.Initrd) > 0 {
		load.WriteString("\n  initrd")
	}
	for _, src := range e.Initrd {
		load.WriteString(word(src))
	}
	return fmt.Sprintf("menuentry %s --id %s {\n%s%s\n}\n", grubWord(e.Title), grubWord(id), search.String(), load.String())
}

// grubWord quotes a word for GRUB's scripts where it may mean something to them.
func grubWord(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_=+,.:/@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// serialLine reads a console such as "ttyS0,115200n8": its number and its speed in bits per second, 9600 when it says none
// (Linux, Documentation/admin-guide/serial-console.rst).
func serialLine(console string) (unit, speed string, ok bool) {
	name, options, _ := strings.Cut(console, ",")
	unit, ok = strings.CutPrefix(name, "ttyS")
	end := strings.IndexFunc(options+" ", func(r rune) bool { return r < '0' || r > '9' })
	if speed = options[:end]; speed == "" {
		speed = "9600"
	}
	return unit, speed, ok && unit != ""
}
