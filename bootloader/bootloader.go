// Package bootloader turns boot entries into the files that a firmware and a boot loader look for. A loader is data: what partitions
// it needs and what goes into them. It opens and writes nothing.
package bootloader

import (
	"fmt"
	"strings"

	"imprint/internal/tree"
)

// A File is content at a path of the partition that it goes to.
type File struct {
	Partition string // the partition's type: "esp" or "xbootldr"
	Path      string // absolute
	Content   tree.Blob
}

// An Entry is one system to boot.
type Entry struct {
	Title   string
	Kernel  Source
	Initrd  []Source
	Cmdline string // without a newline
}

// A Source is a kernel or an initrd.
type Source struct {
	Name    string // a name that tells it from others: for a store item's file, its base name and the file's
	Content tree.Blob
}

// A Requirement is a partition that a loader cannot do without.
type Requirement struct {
	Type       string // a name of the Discoverable Partitions Specification
	Filesystem string
}

// Config is what a loader is asked to boot.
type Config struct {
	Arch     string
	Timeout  int64     // seconds that the menu is shown; 0 boots at once
	Binary   tree.Blob // the loader's EFI program
	Entries  []Entry   // the first is the default
	XBOOTLDR bool      // there is an XBOOTLDR partition, for entries and kernels
}

// A Bootloader is one way to boot.
type Bootloader interface {
	Requires() []Requirement
	Artifacts(Config) ([]File, error)
}

// Named gives the boot loader of that name; none for "none".
func Named(name string) (Bootloader, error) {
	switch name {
	case "none", "":
		return nothing{}, nil
	case "systemd-boot":
		return systemdBoot{}, nil
	}
	return nil, fmt.Errorf("unknown boot loader %q", name)
}

// nothing is the loader of an image that boots by other means, or not at all.
type nothing struct{}

func (nothing) Requires() []Requirement          { return nil }
func (nothing) Artifacts(Config) ([]File, error) { return nil, nil }

// removable is the name of the EFI program that firmware starts from a disk it has no entry for (UEFI 2.10, 3.5.1.1), by
// architecture.
var removable = map[string]string{"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI", "riscv64": "BOOTRISCV64.EFI"}

// IDs gives each entry a name of its own for files: its title in lower case, letters and digits kept, and a number where two would
// be the same.
func IDs(entries []Entry) []string {
	ids, seen := make([]string, len(entries)), map[string]bool{}
	for i, e := range entries {
		base := slug(e.Title)
		id := base
		for n := 2; seen[id]; n++ {
			id = fmt.Sprintf("%s-%d", base, n)
		}
		ids[i], seen[id] = id, true
	}
	return ids
}

func slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '_')
	})
	s := strings.Trim(strings.Join(words, "-"), ".-")
	if s == "" {
		return "entry"
	}
	return s[:min(len(s), 64)]
}
