package bootloader

import (
	"fmt"
	"path"

	"imprint/internal/tree"
)

// syslinux is SYSLINUX, for a BIOS and an MBR. Its boot code starts the active partition, a FAT volume on which the host's
// syslinux installs itself, with its configuration, kernels and initrds.
type syslinux struct{}

var syslinuxLoader = Loader{Name: "syslinux", firmware: "bios", Menu: true, Serial: true, room: 512, Bootloader: syslinux{}}

const syslinuxBootCode = "lib/SYSLINUX/mbr.bin"

// syslinuxMenu are the program that shows the menu and the library it needs.
var syslinuxMenu = []string{"lib/syslinux/modules/bios/menu.c32", "lib/syslinux/modules/bios/libutil.c32"}

func (s syslinux) Requires(m Machine) Requirements {
	r := Requirements{BIOS: true, Table: "mbr", Inputs: []Input{{Path: syslinuxBootCode, Package: "syslinux"}}}
	for _, path := range syslinuxMenu {
		r.Inputs = append(r.Inputs, Input{Path: path, Package: "syslinux-common"})
	}
	if _, ok := s.home(m); !ok {
		r.Partitions = []Requirement{{For: "syslinux", Type: "xbootldr", Filesystem: "fat", Size: "64MiB"}}
	}
	return r
}

// home returns the FAT volume for SYSLINUX: the first one, of any type.
func (syslinux) home(m Machine) (Partition, bool) {
	for _, p := range m.Partitions {
		if p.Filesystem == "fat" {
			return p, true
		}
	}
	return Partition{}, false
}

func (s syslinux) Artifacts(c Config) (Artifacts, error) {
	code, err := read(c.Inputs[syslinuxBootCode])
	if err != nil {
		return Artifacts{}, err
	}
	if len(code) > BootCodeSize {
		return Artifacts{}, fmt.Errorf("%s has %d bytes, but boot code is limited to %d", syslinuxBootCode, len(code), BootCodeSize)
	}
	home, _ := s.home(c.Machine)
	f := shelf{partition: home, dir: "/syslinux"}
	text := s.head(c) + f.linuxMenu(c)
	files := []File{{home.Name, "/syslinux/syslinux.cfg", tree.Text(text)}}
	if c.Timeout > 0 {
		for _, module := range syslinuxMenu {
			files = append(files, File{home.Name, "/syslinux/" + path.Base(module), c.Inputs[module]})
		}
	}
	return Artifacts{
		Files: append(files, f.files...), BootCode: &Code{Bytes: code}, Active: home.Name, Install: home.Name,
	}, nil
}

// head returns the beginning of the configuration: the serial line, which must come first, and the menu. Without a menu
// SYSLINUX boots at once, whatever the timeout.
func (syslinux) head(c Config) string {
	text := ""
	if unit, speed, ok := c.serialLine(); ok {
		text = fmt.Sprintf("SERIAL %s %s\n", unit, speed)
	}
	if c.Timeout > 0 {
		text += "UI " + path.Base(syslinuxMenu[0]) + "\n"
	}
	return text + "PROMPT 0\n"
}
