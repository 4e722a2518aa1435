package bootloader

import (
	"fmt"
	"path"
	"strings"

	"imprint/internal/tree"
)

// systemdBoot is the EFI boot manager of systemd. Its binary and loader.conf are on the ESP. Type 1 entries of the Boot Loader
// Specification, with their kernels and initrds, are on the XBOOTLDR partition if there is one, else on the ESP: systemd-boot
// reads only FAT.
type systemdBoot struct{}

var systemdBootLoader = Loader{
	Name: "systemd-boot", Menu: true, DeviceTree: true, XBOOTLDRInGPT: true, room: 512, Bootloader: systemdBoot{},
	Editor: true, Modes: []string{"0", "1", "2", "auto", "max", "keep"}, ConfigFile: "loader.conf", // loader.conf(5)
	ownLines: []string{"timeout", "default", "editor", "console-mode"},
}

func (systemdBoot) Requires(m Machine) Requirements {
	return Requirements{
		Partitions: []Requirement{esp("systemd-boot")},
		Inputs:     []Input{{Path: systemdBootPath(m.Arch), Package: "systemd-boot-efi", EFI: true}},
		EFIKernel:  true,
	}
}

func systemdBootPath(arch string) string {
	return "lib/systemd/boot/efi/systemd-boot" + efiArch[arch] + ".efi"
}

func (systemdBoot) Artifacts(c Config) (Artifacts, error) {
	binary := c.Inputs[systemdBootPath(c.Arch)]
	esp, _ := c.find("esp")
	home, _ := c.find("xbootldr", "esp")
	ids := IDs(c.Entries)
	files := []File{
		{esp.Name, RemovablePath(c.Arch), binary},
		{esp.Name, "/EFI/systemd/" + path.Base(systemdBootPath(c.Arch)), binary},
		{esp.Name, "/loader/loader.conf", tree.Text(loaderConf(c, ids[c.Default]))},
	}
	if home != esp {
		files = append(files, File{home.Name, "/loader/entries.srel", tree.Text("type1\n")})
	}
	s := shelves{shelf{partition: home, dir: "/EFI/imprint"}, shelf{partition: home, dir: "/EFI/nixos", name: efiName}}
	for i, e := range c.Entries {
		text, err := s.of(&e).type1(&e, i)
		if err != nil {
			return Artifacts{}, err
		}
		files = append(files, File{home.Name, "/loader/entries/" + ids[i] + ".conf", tree.Text(text)})
	}
	return Artifacts{Files: append(files, s.files()...)}, nil
}

// loaderConf returns loader.conf, for a default entry.
func loaderConf(c Config, id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "timeout %d\ndefault %s.conf\n", c.Timeout, id)
	for _, pair := range [][2]string{{"editor", c.Menu.Editor}, {"console-mode", c.Menu.Mode}} {
		if pair[1] != "" {
			fmt.Fprintf(&b, "%s %s\n", pair[0], pair[1])
		}
	}
	for _, line := range c.Menu.Lines {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// type1 returns a type 1 entry.
func (s *shelf) type1(e *Entry, order int) (string, error) {
	foreign, err := e.foreign()
	if err != nil {
		return "", err
	}
	program := map[bool]string{false: "linux", true: "efi"}[foreign]
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s %s\n", key, value) }
	image := func(key string, src Source) {
		_, path := s.put(src)
		line(key, path)
	}
	line("title", e.heading())
	line("sort-key", e.sortKey(order))
	if g := e.Generation; g != nil {
		line("version", fmt.Sprintf("Generation %d %s, built on %s", g.Number, g.Label, g.Built))
	}
	image(program, e.Kernel)
	for _, src := range e.Initrd {
		image("initrd", src)
	}
	if e.Cmdline != "" {
		line("options", e.Cmdline)
	}
	if e.DeviceTree.Name != "" {
		image("devicetree", e.DeviceTree.Source)
	}
	return b.String(), nil
}
