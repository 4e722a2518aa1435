package language

import (
	"fmt"
	"strconv"
	"strings"

	"imprint/bootloader"
	"imprint/closure"
	"imprint/container"
	"imprint/partition"
)

// FilesystemsThat returns the names of the file systems with a property, for hints.
func FilesystemsThat(have func(*partition.Filesystem) bool) (words []string) {
	for _, row := range partition.Filesystems {
		if have(row) {
			words = append(words, row.Name)
		}
	}
	return words
}

// Properties of file systems, for hints.

func AreRaw(f *partition.Filesystem) bool        { return f.Raw }
func GoInside(f *partition.Filesystem) bool      { return f.Inside }
func AreOfFirmware(f *partition.Filesystem) bool { return f.Firmware }
func Compress(f *partition.Filesystem) bool      { return f.Compressors != nil }
func AreSwap(f *partition.Filesystem) bool       { return f.Swap }
func HaveWidths(f *partition.Filesystem) bool    { return f.Widths }
func AreWholeDisks(f *partition.Filesystem) bool { return f.WholeDisk }

// LoadersThat returns the names of the boot loaders with a property, for hints.
func LoadersThat(have func(*bootloader.Loader) bool) (words []string) {
	for _, name := range bootloader.Names() {
		if l, err := bootloader.Named(name); err == nil && have(l) {
			words = append(words, name)
		}
	}
	return words
}

// Properties of boot loaders, for hints.

func BootISO(l *bootloader.Loader) bool        { return l.ISO }
func ReadStore(l *bootloader.Loader) bool      { return l.ReadsStore }
func TakeDeviceTree(l *bootloader.Loader) bool { return l.DeviceTree }
func Sign(l *bootloader.Loader) bool           { return l.Signs }
func ShowOnSerial(l *bootloader.Loader) bool   { return l.Serial }
func HaveLooks(l *bootloader.Loader) bool      { return l.Looks }
func HaveEditor(l *bootloader.Loader) bool     { return l.Editor }
func HaveModes(l *bootloader.Loader) bool      { return l.Modes != nil }
func HaveSubmenus(l *bootloader.Loader) bool   { return l.Submenus }
func TakeLines(l *bootloader.Loader) bool      { return l.ConfigFile != "" }
func StartPlain(l *bootloader.Loader) bool     { return !l.OnlyLinux }
func DoBoot(l *bootloader.Loader) bool         { return !l.None() }

// Alternatives returns words in quotation marks, with "or" before the last one.
func Alternatives(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = strconv.Quote(word)
	}
	if n := len(quoted); n > 1 {
		quoted = append(quoted[:n-2], quoted[n-2]+" or "+quoted[n-1])
	}
	return strings.Join(quoted, ", ")
}

// FormatsThat returns the names of the formats of outputs with a property, for hints.
func FormatsThat(have func(*container.Format) bool) (words []string) {
	for _, f := range container.Formats {
		if have(f) {
			words = append(words, f.Name)
		}
	}
	return words
}

// Properties of formats of outputs, for hints.

func CompressClusters(f *container.Format) bool { return len(f.Compressions) > 0 }
func HaveLevels(f *container.Format) bool       { return f.MostLevel > 0 }
func HoldTrees(f *container.Format) bool        { return f.Tree }
func HaveLayers(f *container.Format) bool       { return f.Layers }

// compressions returns the values of output.compression.
func compressions() (words []string) {
	for _, f := range container.Formats {
		words = append(words, f.Compressions...)
	}
	return words
}

// outputHints says what to write instead of a format of files as the format of the disk.
func outputHints() map[string]string {
	hints := map[string]string{}
	for _, name := range FormatsThat((*container.Format).HoldsDisk) {
		hints[name] = fmt.Sprintf("[[output]] format = %q makes such a file", name)
	}
	return hints
}

// GCRootDirs returns the directories of the flavors in which a description may choose names for GC roots, each with a slash at its end.
func GCRootDirs() (dirs []string) {
	for _, f := range closure.Flavors() {
		dirs = append(dirs, f.GCRoots()+"/")
	}
	return dirs
}
