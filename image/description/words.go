package description

import (
	"strconv"
	"strings"

	"imprint/bootloader"
	"imprint/partition"
)

// No word for a file system, an engine or a boot loader is written in this package: they come from the rows of [partition] and
// [bootloader], and so do the rules that hold for one of them.

// filesystemsThat are the words for the file systems with a property.
func filesystemsThat(have func(*partition.Filesystem) bool) (words []string) {
	for _, row := range partition.Filesystems {
		if have(row) {
			words = append(words, row.Name)
		}
	}
	return words
}

// Properties of file systems.
func areRaw(f *partition.Filesystem) bool        { return f.Raw }
func goInside(f *partition.Filesystem) bool      { return f.Inside }
func areOfFirmware(f *partition.Filesystem) bool { return f.Firmware }
func areWholeDisks(f *partition.Filesystem) bool { return f.WholeDisk }
func takeStore(f *partition.Filesystem) bool     { return f.Store && !f.WholeDisk }

// loadersThat are the words for the boot loaders with a property.
func loadersThat(have func(*bootloader.Loader) bool) (words []string) {
	for _, name := range bootloader.Names() {
		if l, err := bootloader.Named(name); err == nil && have(l) {
			words = append(words, name)
		}
	}
	return words
}

// Properties of boot loaders.
func bootISO(l *bootloader.Loader) bool        { return l.ISO }
func readStore(l *bootloader.Loader) bool      { return l.ReadsStore }
func takeDeviceTree(l *bootloader.Loader) bool { return l.DeviceTree }
func sign(l *bootloader.Loader) bool           { return l.Signs }
func doBoot(l *bootloader.Loader) bool         { return !l.None() }

// alternatives are words in quotation marks, with "or" before the last one.
func alternatives(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = strconv.Quote(word)
	}
	if n := len(quoted); n > 1 {
		quoted = append(quoted[:n-2], quoted[n-2]+" or "+quoted[n-1])
	}
	return strings.Join(quoted, ", ")
}
