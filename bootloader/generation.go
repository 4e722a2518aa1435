package bootloader

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Generation is a generation of a profile of NixOS, which an entry boots. Entries and copies of kernels have the names that
// NixOS gives them, so that the first rebuild in the running system finds its own, replaces them, and removes those of
// generations that are gone (nixpkgs, nixos/modules/system/boot/loader: systemd-boot-builder.py, install-grub.pl).
type Generation struct {
	Distribution   string // as it calls itself: "NixOS"
	Number         int    // from 1 on
	Current        bool   // it is the profile's current one
	Specialisation string // "" for the system itself
	Label          string // of the system: "NixOS 25.05 (Linux 6.12)"
	Version        string // of the distribution: "25.05"; "" if unknown
	Built          string // date, as in "2026-01-31"
	SortKey        string // "" for that of the distribution
}

// ID is the name of the entry's file without its suffix.
func (g *Generation) ID() string {
	id := fmt.Sprintf("%s-generation-%d", g.distribution(), g.Number)
	if g.Specialisation != "" {
		id += "-specialisation-" + g.Specialisation
	}
	return id
}

// distribution is the name of the distribution in names of files.
func (g *Generation) distribution() string { return strings.ToLower(g.Distribution) }

// Title is a title that differs from those of the profile's other entries.
func (g *Generation) Title() string {
	title := g.Distribution
	dated := g.Built + " - " + orLabel(g.Version, g.Label)
	switch {
	case g.Current && g.Specialisation == "":
		return title + " - Default"
	case g.Current:
		return fmt.Sprintf("%s - (%s - %s)", title, g.Specialisation, dated)
	case g.Specialisation == "":
		return fmt.Sprintf("%s - Configuration %d (%s)", title, g.Number, dated)
	}
	return fmt.Sprintf("%s - Configuration %d - (%s - %s)", title, g.Number, g.Specialisation, dated)
}

// orLabel returns the version of a system, or its label if that is unknown.
func orLabel(version, label string) string {
	if version == "" {
		return label
	}
	return version
}

// heading is the title of an entry in a menu that shows the version too.
func (e *Entry) heading() string {
	switch g := e.Generation; {
	case g == nil || e.Title != g.Title():
		return e.Title
	case g.Specialisation != "":
		return fmt.Sprintf("%s (%s)", g.Distribution, g.Specialisation)
	default:
		return g.Distribution
	}
}

// sortKey keeps a menu that sorts in the order of the description. Generations are sorted by their version.
func (e *Entry) sortKey(order int) string {
	switch g := e.Generation; {
	case g == nil:
		return fmt.Sprintf("imprint-%03d", order)
	case g.SortKey != "":
		return g.SortKey
	default:
		return g.distribution()
	}
}

// shelves are where a loader reads the files of entries: those of generations in a directory of NixOS's, others in ours.
type shelves struct{ own, generations shelf }

// of returns the shelf for an entry.
func (s *shelves) of(e *Entry) *shelf {
	if e.Generation != nil {
		return &s.generations
	}
	return &s.own
}

// files returns all copies, each once.
func (s *shelves) files() []File { return slices.Concat(s.own.files, s.generations.files) }

// efiName is the name that NixOS gives to a copy for systemd-boot: the store item's base name and the file's.
func efiName(s Source) string {
	name := path.Base(s.Path)
	if name != s.Item {
		name = s.Item + "-" + name
	}
	return name + ".efi"
}

// kernelsName is the name that NixOS gives to a copy for GRUB: the path below the store.
func kernelsName(s Source) string {
	at := strings.Index(s.Path, s.Item)
	return strings.ReplaceAll(s.Path[max(at, 0):], "/", "-")
}
