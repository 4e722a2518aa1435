package bootloader

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// config returns grub.cfg, and the kernels and initrds to copy to home. GRUB finds every partition by the UUID of its file
// system, since the numbering of disks depends on the machine.
func (g grub) config(c Config, home Partition) (string, []File, error) {
	own := shelf{partition: home, dir: "/EFI/imprint"}
	if home.Store || home.Root || home.Filesystem == "iso9660" {
		own.dir = "/boot"
	}
	if p, ok := c.find("xbootldr"); ok {
		own.partition = p
	}
	if !c.CopyKernel {
		own.inPlace = grubLoader.readable(c.Machine)
	}
	s := shelves{own, own}
	s.generations.dir, s.generations.name = strings.TrimPrefix(own.dir, "/EFI/imprint")+"/kernels", kernelsName
	var b strings.Builder
	if unit, speed, ok := c.serialLine(); ok {
		const both = "  terminal_input console serial\n  terminal_output console serial\n"
		fmt.Fprintf(&b, "if serial --unit=%s --speed=%s; then\n%sfi\n", unit, speed, both)
	}
	looks, pictures := g.looks(c, home)
	b.WriteString(looks)
	entries, first, err := s.menu(c)
	fmt.Fprintf(&b, "set default=%s\nset timeout=%d\n", grubWord(first), c.Timeout)
	for _, line := range c.Menu.Lines {
		b.WriteString(line + "\n")
	}
	b.WriteString(entries)
	return b.String(), append(pictures, s.files()...), err
}

// looks returns what sets the colours of the menu and shows the picture, and the files for that beside grub.cfg.
func (grub) looks(c Config, home Partition) (string, []File) {
	var b strings.Builder
	for _, pair := range [][2]string{{"menu_color_normal", c.Menu.Color}, {"menu_color_highlight", c.Menu.Highlight}} {
		if pair[1] != "" {
			fmt.Fprintf(&b, "set %s=%s\n", pair[0], pair[1])
		}
	}
	if c.Menu.Background == nil {
		return b.String(), nil
	}
	picture, font := grubDir+"/background."+c.Menu.Format, grubDir+"/"+path.Base(grubFont)
	fmt.Fprintf(&b, `search --no-floppy --fs-uuid --set=home %s
if loadfont ($home)%s; then
  set gfxmode=auto
  terminal_output --append gfxterm
  terminal_output --remove console
  background_image ($home)%s
fi
`, home.VolumeID, font, picture)
	return b.String(), []File{{home.Name, picture, c.Menu.Background}, {home.Name, font, c.Inputs[grubFont]}}
}

// menu returns the entries, those of a submenu where its first one is, and the default one: by number, since GRUB would take a name that
// begins with digits for one, and in a submenu by that of the submenu too.
func (s *shelves) menu(c Config) (text, first string, err error) {
	type item struct {
		submenu string
		entries []string
	}
	var items []*item
	ids := IDs(c.Entries)
	for i, e := range c.Entries {
		entry, err := s.of(&e).menuEntry(e, ids[i])
		if err != nil {
			return "", "", err
		}
		at := slices.IndexFunc(items, func(it *item) bool { return e.Submenu != "" && it.submenu == e.Submenu })
		if at < 0 {
			at = len(items)
			items = append(items, &item{submenu: e.Submenu})
		}
		if i == c.Default {
			first = strconv.Itoa(at)
			if e.Submenu != "" {
				first += fmt.Sprintf(">%d", len(items[at].entries))
			}
		}
		items[at].entries = append(items[at].entries, entry)
	}
	for n, it := range items {
		body := strings.Join(it.entries, "")
		if it.submenu != "" {
			body = fmt.Sprintf("submenu --id submenu-%d -- %s {\n%s}\n", n, grubWord(it.submenu), body)
		}
		text += body
	}
	return text, first, nil
}

// menuEntry returns one entry of the menu, with a variable for each partition that it reads.
func (s *shelf) menuEntry(e Entry, id string) (string, error) {
	foreign, err := e.foreign()
	if err != nil {
		return "", err
	}
	program := map[bool]string{false: "linux", true: "chainloader"}[foreign]
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
	load.WriteString("  " + program + word(e.Kernel))
	for _, w := range strings.FieldsFunc(e.Cmdline, func(r rune) bool { return r == ' ' }) {
		load.WriteString(" " + grubWord(w))
	}
	if len(e.Initrd) > 0 {
		load.WriteString("\n  initrd")
	}
	for _, src := range e.Initrd {
		load.WriteString(word(src))
	}
	return fmt.Sprintf("menuentry --id %s -- %s {\n%s%s\n}\n", grubWord(id), grubWord(e.Title), search.String(), load.String()), nil
}

// grubWord quotes a word that may have a meaning in GRUB's scripts.
func grubWord(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !isPlain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
