package bootloader

import (
	"fmt"
	"slices"
)

// A Loader is one way to boot: its properties, which are known before anything is read, and the parts that it puts on a disk.
// There is one for each word in a description, in the file of that loader. The rest of the program asks this row instead of
// comparing names.
type Loader struct {
	Name string // as descriptions call it

	ISO           bool // can boot an ISO 9660 image
	Menu          bool // shows a menu, which can wait
	ReadsStore    bool // reads file systems that can hold a store, so kernels can stay there
	DeviceTree    bool // can pass a device tree to the kernel
	DeviceTrees   bool // takes a directory of device trees too
	Signs         bool // makes EFI programs, which can be signed
	Serial        bool // shows its menu on a serial line of a PC as well
	XBOOTLDRInGPT bool // finds an XBOOTLDR partition only in a GPT
	OnlyLinux     bool // makes programs of Linux kernels, and so starts nothing else
	Submenus      bool // its menu may have submenus
	Looks         bool // its menu may have colours and a picture behind it
	Editor        bool // has a switch for editing command lines in the menu

	Modes      []string // resolutions of its menu; nil if there is no choice
	Fills      string   // what a BIOS boot partition holds with it, for messages; "" if it needs none
	ConfigFile string   // its configuration that takes further lines; "" if none does
	ownLines   []string // words that begin a line of that file which other keys are for, in the order of their keys

	firmware string   // the only kind that starts it: "bios" or "u-boot"
	reads    []string // file systems with a store that it can read
	room     int      // bytes that it may add to a command line: names of the kernel and of initrds
	changes  string   // characters of a command line that do not reach the kernel unchanged
	how      string   // what the loader does to them, for messages
	comment  string   // text that starts a comment at the beginning of a line
	reader   string   // what reads that comment, for messages

	unpacks   []string // compressed kernels that it unpacks, by the names of package compressed
	mayUnpack []string // those that it unpacks on some machines other than PCs
	unpacksIf string   // on which machines, for messages
	noZBoot   string   // why it cannot start an EFI zboot image; "" if it can
	newZBoot  string   // which version can; "" for all

	Bootloader
}

// loaders lists all loaders, in the order in which messages list them.
var loaders = []*Loader{&systemdBootLoader, &grubLoader, &ukiLoader, &extlinuxLoader, &syslinuxLoader, &noLoader}

// noLoader is the row of an image that boots by other means, or not at all.
var noLoader = Loader{Name: "none", Menu: true, Bootloader: nothing{}}

// None reports whether l is the row "none": the image boots by other means, or not at all.
func (l *Loader) None() bool { return l == &noLoader }

// CanRead reports whether the loader can read kernels in the store of a machine, if it has one. No loader can read a file
// system inside another one, or finds a store that is mounted somewhere.
func (l *Loader) CanRead(m Machine) bool {
	store, ok := m.store()
	return !ok || store.Number > 0 && !store.Apart && slices.Contains(l.reads, store.Filesystem)
}

// CanReadFrom reports whether the loader can read a partition with a file system, if that is not inside another one.
func (l *Loader) CanReadFrom(filesystem string) bool { return slices.Contains(l.reads, filesystem) }

// readable returns the partitions in which a loader reads files in place.
func (l *Loader) readable(m Machine) (list []Partition) {
	for _, p := range m.Partitions {
		if p.Number > 0 && l.CanReadFrom(p.Filesystem) {
			list = append(list, p)
		}
	}
	return list
}

// home returns the partition with the system, if the loader can read it.
func (l *Loader) home(m Machine) (Partition, bool) {
	p, ok := m.system()
	return p, ok && (p.Store || p.Number > 0 && l.CanReadFrom(p.Filesystem))
}

// HasBIOS reports whether machines of an architecture have a BIOS.
func HasBIOS(arch string) bool { return arch == "x86_64" }

// Names returns the names of all loaders.
func Names() []string {
	var names []string
	for _, l := range loaders {
		names = append(names, l.Name)
	}
	return names
}

// Later returns names of loaders that are not supported yet, but that users of other tools may expect.
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

// Firmware returns the kind of firmware that starts the loader on a disk with partitions of these types: "uefi", "bios" or
// "u-boot"; the first if there are two.
func (l *Loader) Firmware(types []string) string {
	switch {
	case l.firmware != "":
		return l.firmware
	case slices.Contains(types, "esp"):
		return "uefi"
	}
	return "bios"
}

// menuPartition is the requirement of a loader that has no partition for its menu.
func menuPartition(l *Loader) Requirement {
	return Requirement{
		For: l.Name + ", for its menu,", Type: "xbootldr", Filesystem: "fat", Size: "256MiB",
		Or: `or, to have it in the root file system, one of type "root" with filesystem = "` + l.reads[0] + `"`,
	}
}
