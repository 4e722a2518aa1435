package bootloader

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// extlinux is a menu in the form of SYSLINUX's for firmware that reads it itself, such as U-Boot: /extlinux/extlinux.conf on the first
// partition or on one that is marked as bootable (U-Boot, doc/develop/distro.rst). It is on an XBOOTLDR partition or an ESP if there is
// one, else on the partition with the store, where kernels and initrds are read in place.
type extlinux struct{}

func (extlinux) Requires(Machine) Requirements { return Requirements{} }

func (extlinux) Artifacts(c Config) (Artifacts, error) {
	home, ok := c.find("xbootldr", "esp")
	if !ok {
		home, ok = c.store()
	}
	if !ok {
		return Artifacts{}, fmt.Errorf("extlinux has no partition for its menu: there is neither an XBOOTLDR partition, an ESP, nor a store")
	}
	f := shelf{partition: home, dir: "/extlinux"}
	if home.Store && !c.CopyKernel {
		f.store = &home
	}
	text := f.linuxMenu(c)
	files := append([]File{{home.Name, "/extlinux/extlinux.conf", tree.Text(text)}}, f.files...)
	return Artifacts{Files: files, Active: home.Name}, nil
}

// linuxMenu is a menu in the words that SYSLINUX and U-Boot share. They count in tenths of a second, in which 0 is no end, and load one
// initrd.
func (s *shelf) linuxMenu(c Config) string {
	ids := IDs(c.Entries)
	var b strings.Builder
	fmt.Fprintf(&b, "DEFAULT %s\nPROMPT 0\nTIMEOUT %d\n", ids[c.Default], max(1, 10*c.Timeout))
	for i, e := range c.Entries {
		_, kernel := s.put(e.Kernel)
		fmt.Fprintf(&b, "LABEL %s\n  MENU LABEL %s\n  LINUX %s\n", ids[i], e.Title, kernel)
		if len(e.Initrd) > 0 {
			_, initrd := s.put(oneInitrd(e.Initrd, ids[i]))
			fmt.Fprintf(&b, "  INITRD %s\n", initrd)
		}
		if e.Cmdline != "" {
			fmt.Fprintf(&b, "  APPEND %s\n", e.Cmdline)
		}
	}
	return b.String()
}

// oneInitrd is the initrds of an entry as one file.
func oneInitrd(initrds []Source, id string) Source {
	if len(initrds) == 1 {
		return initrds[0]
	}
	return Source{Name: id + "-initrd", Content: joined(initrds)}
}
