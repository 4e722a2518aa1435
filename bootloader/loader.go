package bootloader

import (
	"fmt"
	"slices"
)

// A Loader is one way to boot: what is known of it before anything is read, and what it puts on a disk. There is one for each word that
// a description takes, in the file of that loader.
type Loader struct {
	Name string // as descriptions call it

	ISO           bool // it boots an ISO 9660 image
	Menu          bool // it shows a menu, which can wait
	ReadsStore    bool // it reads file systems that a store may lie on, so that kernels can stay there
	DeviceTree    bool // it hands the kernel a device tree
	Signs         bool // it makes EFI programs, which can be signed
	FillsBIOSBoot bool // it is what a BIOS boot partition holds
	XBOOTLDRInGPT bool // it finds an XBOOTLDR partition in a GPT alone

	firmware string   // the only kind that starts it: "bios", "u-boot"
	reads    []string // file systems with a store that it reads
	room     int      // bytes that it may add to a command line: names of the kernel and of initrds
	changes  string   // characters of a command line that do not reach the kernel as they are
	how      string   // what the loader does to them
	comment  string   // text that makes a comment of the line it begins
	reader   string   // of that comment

	unpacks   []string // compressors of kernels, by the names of package compressed, that it undoes
	mayUnpack []string // those that it undoes on some machines, other than PCs
	unpacksIf string   // on which
	noZBoot   string   // why it does not start an EFI program that unpacks a kernel; "" where it does
	newZBoot  string   // which version of it does; "" for all

	Bootloader
}

// loaders are the ways to boot, in the order in which messages name them.
var loaders = []*Loader{&systemdBootLoader, &grubLoader, &ukiLoader, &extlinuxLoader, &syslinuxLoader, &noLoader}

// noLoader is for an image that boots by other means, or not at all.
var noLoader = Loader{Name: "none", Menu: true, Bootloader: nothing{}}

// None reports whether l stands for no loader: the image boots by other means, or not at all.
func (l *Loader) None() bool { return l == &noLoader }

// CanRead reports whether the loader reads kernels in the store of a machine, if it has one. No loader reads a file
// system that is a file of another.
func (l *Loader) CanRead(m Machine) bool {
	store, ok := m.store()
	return !ok || store.Number > 0 && slices.Contains(l.reads, store.Filesystem)
}

// HasBIOS reports whether machines of an architecture have a BIOS.
func HasBIOS(arch string) bool { return arch == "x86_64" }

// Names are the words for the loaders that there are.
func Names() []string {
	var names []string
	for _, l := range loaders {
		names = append(names, l.Name)
	}
	return names
}

// Later are names of loaders that other tools support, and imprint does not yet.
func Later() []string { return []string{"efistub", "limine", "u-boot"} }

// Named returns the loader of that name; "" is "none".
func Named(name string) (*Loader, error) {
	if name == "" {
		return &noLoader, nil
	}
	i := slices.IndexFunc(loaders, func(l *Loader) bool { return l.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown boot loader %q", name)
	}
	return loaders[i], nil
}

// Firmware is the kind of firmware that the loader starts from on a disk with partitions of these types: "uefi", "bios" or "u-boot"; of
// two the first.
func (l *Loader) Firmware(types []string) string {
	switch {
	case l.firmware != "":
		return l.firmware
	case slices.Contains(types, "esp"):
		return "uefi"
	}
	return "bios"
}
