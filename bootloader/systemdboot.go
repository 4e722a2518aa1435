package bootloader

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"imprint/internal/tree"
)

// systemdBoot is the EFI boot manager of systemd. Its binary and loader.conf lie on the ESP; entries of type 1 of the Boot Loader
// Specification and the kernels and initrds they name lie on the XBOOTLDR partition if there is one, else on the ESP too, since it
// reads no other file system than FAT.
type systemdBoot struct{}

func (systemdBoot) Requires() []Requirement {
	return []Requirement{{Type: "esp", Filesystem: "fat"}}
}

// EFIBinary is the path of systemd-boot's EFI program below a systemd package or a host's /usr, for an architecture.
func EFIBinary(arch string) string {
	name := map[string]string{"x86_64": "x64", "aarch64": "aa64", "riscv64": "riscv64"}[arch]
	return "lib/systemd/boot/efi/systemd-boot" + name + ".efi"
}

func (systemdBoot) Artifacts(c Config) ([]File, error) {
	name, ok := removable[c.Arch]
	if !ok {
		return nil, fmt.Errorf("systemd-boot does not run on %s", c.Arch)
	}
	ids := IDs(c.Entries)
	files := []File{
		{"esp", "/EFI/BOOT/" + name, c.Binary},
		{"esp", "/EFI/systemd/" + path.Base(EFIBinary(c.Arch)), c.Binary},
		{"esp", "/loader/loader.conf", tree.Text(fmt.Sprintf("timeout %d\ndefault %s.conf\n", c.Timeout, ids[0]))},
	}
	home := "esp"
	if c.XBOOTLDR {
		home = "xbootldr"
		files = append(files, File{home, "/loader/entries.srel", tree.Text("type1\n")})
	}
	for i, e := range c.Entries {
		text, images := entry(e, i)
		files = append(files, File{home, "/loader/entries/" + ids[i] + ".conf", tree.Text(text)})
		for _, f := range images {
			f.Partition = home
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// entry is a type 1 entry: its text, and the files that it names. The sort key keeps the order of the description in the menu.
func entry(e Entry, order int) (string, []File) {
	var b strings.Builder
	var files []File
	line := func(key, value string) { fmt.Fprintf(&b, "%s %s\n", key, value) }
	image := func(key string, s Source) {
		f := File{Path: "/EFI/imprint/" + s.Name, Content: s.Content}
		files = append(files, f)
		line(key, f.Path)
	}
	line("title", e.Title)
	line("sort-key", fmt.Sprintf("imprint-%03d", order))
	image("linux", e.Kernel)
	for _, s := range e.Initrd {
		image("initrd", s)
	}
	if e.Cmdline != "" {
		line("options", e.Cmdline)
	}
	return b.String(), files
}
