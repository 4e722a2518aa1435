// Package diskformat recognises disk images that are no plain copies of a disk, by their first or last bytes.
package diskformat

import "imprint/internal/tree"

// formats lists the formats by their magic numbers and where they are: negative offsets count from the end.
var formats = []struct {
	name, magic string
	offset      int64
}{
	{"qcow2", "QFI\xfb", 0},                               // QEMU, docs/interop/qcow2.txt
	{"vmdk", "KDMV", 0},                                   // VMware, Virtual Disk Format 5.0: a sparse extent
	{"vmdk", "COWD", 0},                                   // of ESX
	{"vmdk", "# Disk DescriptorFile", 0},                  // a descriptor of other files
	{"vhdx", "vhdxfile", 0},                               // MS-VHDX, 2.2.1
	{"vpc", "conectix", 0},                                // Virtual Hard Disk Image Format: a dynamic disk begins with a copy of the footer
	{"vpc", "conectix", -512},                             // a fixed disk has only the footer
	{"vdi", "\x7f\x10\xda\xbe", 0x40},                     // VirtualBox
	{"qed", "QED\x00", 0},                                 // QEMU, docs/interop/qed_spec.rst
	{"parallels", "WithoutFreeSpace", 0},                  // QEMU, docs/interop/parallels.txt
	{"parallels", "WithouFreSpacExt", 0},                  // likewise
	{"dmg", "koly\x00\x00\x00\x04\x00\x00\x02\x00", -512}, // Apple
}

// names are what people call the formats for which qemu-img has another word.
var names = map[string]string{"vpc": "VHD", "vmdk": "VMDK", "vhdx": "VHDX", "vdi": "VDI"}

// A Format is a format of disk images.
type Format struct {
	Name string // as people call it: "qcow2", "VHD"
	QEMU string // as qemu-img calls it
}

// Of returns the format of a disk image; ok is false for anything else.
func Of(b tree.Blob) (f Format, ok bool, err error) {
	r, err := b.Open()
	if err != nil {
		return Format{}, false, err
	}
	defer r.Close()
	for _, known := range formats {
		at := known.offset
		if at < 0 {
			at += b.Size()
		}
		found := make([]byte, len(known.magic))
		if at < 0 || at+int64(len(found)) > b.Size() {
			continue
		}
		if err := tree.ReadFull(r, b, found, at); err != nil {
			return Format{}, false, err
		}
		if string(found) == known.magic {
			name := names[known.name]
			if name == "" {
				name = known.name
			}
			return Format{name, known.name}, true, nil
		}
	}
	return Format{}, false, nil
}
