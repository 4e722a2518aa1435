package bootloader

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// syslinux is for a BIOS and an MBR: its boot code starts the active partition, a FAT volume on which the host's syslinux has installed
// itself, with its configuration, kernels and initrds.
type syslinux struct{}

const syslinuxBootCode = "lib/SYSLINUX/mbr.bin"

func (s syslinux) Requires(m Machine) Requirements {
	r := Requirements{BIOS: true, Table: "mbr", Inputs: []Input{{Path: syslinuxBootCode, Package: "syslinux-common"}}}
	if _, ok := s.home(m); !ok {
		r.Partitions = []Requirement{{For: "syslinux", Type: "xbootldr", Filesystem: "fat", Size: "64MiB"}}
	}
	return r
}

// home is the FAT volume that syslinux is on: the first one, whatever its type.
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
		return Artifacts{}, fmt.Errorf("%s has %d bytes, and there is room for %d", syslinuxBootCode, len(code), BootCodeSize)
	}
	home, _ := s.home(c.Machine)
	f := shelf{partition: home, dir: "/syslinux"}
	var text strings.Builder
	for _, console := range c.Console {
		if unit, speed, ok := serialLine(console); ok {
			fmt.Fprintf(&text, "SERIAL %s %s\n", unit, speed)
			break
		}
	}
	text.WriteString(f.linuxMenu(c))
	files := append([]File{{home.Name, "/syslinux/syslinux.cfg", tree.Text(text.String())}}, f.files...)
	return Artifacts{Files: files, BootCode: &Code{Bytes: code}, Active: home.Name, Install: home.Name}, nil
}
