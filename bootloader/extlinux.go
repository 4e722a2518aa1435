package bootloader

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// extlinux is a menu in SYSLINUX's format for firmware that reads it itself, such as U-Boot: /extlinux/extlinux.conf on the
// first partition, or on one that is marked bootable (U-Boot, doc/develop/distro.rst). It is on an XBOOTLDR partition or an
// ESP if there is one, else on the partition with the store, or on the one mounted as root in /boot, where U-Boot looks as well; kernels and
// initrds are read in place there. A menu can only name files on its own partition, so without copies it is there too.
type extlinux struct{}

var extlinuxLoader = Loader{
	Name: "extlinux", firmware: "u-boot", Menu: true, ReadsStore: true, DeviceTree: true, DeviceTrees: true, reads: []string{"ext4"},
	changes: `$'\`, how: "which has a meaning to U-Boot", comment: "#", reader: "U-Boot", Bootloader: extlinux{},
	// U-Boot, doc/usage/cmd/booti.rst.
	mayUnpack: []string{"gzip", "bzip2", "lz4", "lzop", "zstd"},
	unpacksIf: "U-Boot unpacks only where the board's environment has kernel_comp_addr_r and kernel_comp_size",
	noZBoot:   "U-Boot's booti does not start",
}

func (x extlinux) Requires(m Machine) Requirements {
	if _, ok := x.home(m, true); !ok {
		return Requirements{Partitions: []Requirement{menuPartition(&extlinuxLoader)}}
	}
	return Requirements{}
}

// home returns the partition with the menu.
func (extlinux) home(m Machine, copies bool) (Partition, bool) {
	p, ok := m.find("xbootldr", "esp")
	if system, has := extlinuxLoader.home(m); has && (!ok || !copies) {
		return system, true
	}
	return p, ok
}

func (x extlinux) Artifacts(c Config) (Artifacts, error) {
	home, ok := x.home(c.Machine, c.CopyKernel)
	if !ok {
		return Artifacts{}, fmt.Errorf("extlinux has no partition for its menu: no XBOOTLDR partition or ESP, and no root file system that U-Boot reads")
	}
	f := shelf{partition: home, dir: "/extlinux"}
	if !c.CopyKernel {
		f.inPlace = []Partition{home}
	}
	if home.Root && !home.Store {
		f.dir = "/boot/extlinux"
	}
	text := "MENU TITLE Boot\n" + f.linuxMenu(c) // without a title, U-Boot shows no menu and does not wait
	if c.Timeout == 0 {
		text = "PROMPT 0\n" + f.linuxMenu(c)
	}
	files := append([]File{{home.Name, f.dir + "/extlinux.conf", tree.Text(text)}}, f.files...)
	return Artifacts{Files: files, Active: home.Name}, nil
}

// linuxMenu returns a menu in the language that SYSLINUX and U-Boot share. Timeouts are in tenths of a second, 0 means
// forever, and an entry has one initrd.
func (s *shelf) linuxMenu(c Config) string {
	ids := IDs(c.Entries)
	var b strings.Builder
	fmt.Fprintf(&b, "DEFAULT %s\nTIMEOUT %d\n", ids[c.Default], max(1, 10*c.Timeout))
	for i, e := range c.Entries {
		_, kernel := s.put(e.Kernel)
		fmt.Fprintf(&b, "LABEL %s\n  MENU LABEL %s\n  LINUX %s\n", ids[i], e.Title, kernel)
		if len(e.Initrd) > 0 {
			_, initrd := s.put(oneInitrd(e.Initrd, ids[i]))
			fmt.Fprintf(&b, "  INITRD %s\n", initrd)
		}
		b.WriteString(s.deviceTree(e.DeviceTree))
		if e.Cmdline != "" {
			fmt.Fprintf(&b, "  APPEND %s\n", e.Cmdline)
		}
	}
	return b.String()
}

// deviceTree returns the line that names the device tree, which only U-Boot understands.
func (s *shelf) deviceTree(d DeviceTree) string {
	switch {
	case d.Name == "":
		return ""
	case d.Dir:
		return fmt.Sprintf("  FDTDIR %s\n", s.putDir(d))
	}
	_, path := s.put(d.Source)
	return fmt.Sprintf("  FDT %s\n", path)
}

// oneInitrd returns the initrds of an entry as one file.
func oneInitrd(initrds []Source, id string) Source {
	if len(initrds) == 1 {
		return initrds[0]
	}
	return Source{Name: id + "-initrd", Content: joined(initrds)}
}
