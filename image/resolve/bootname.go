package resolve

import (
	"fmt"
	"strings"
	"unicode"

	"imprint/bootloader"
	"imprint/internal/tree"
)

// bootNames are the names of boot files that are taken, in lower case, as FAT compares them.
type bootNames map[string]bootloader.Source

// find returns the boot file of that name.
func (b bootNames) find(base string) (bootloader.Source, bool) {
	known, ok := b[strings.ToLower(bootName(base))]
	return known, ok
}

// own is a name for a boot file, with a number where another content has it already.
func (b bootNames) own(base string, content tree.Blob) string {
	base = bootName(base)
	name := base
	for n := 2; ; n++ {
		known, taken := b[strings.ToLower(name)]
		switch {
		case !taken:
			b[strings.ToLower(name)] = bootloader.Source{Name: name, Content: content}
			return name
		case known.Content == content:
			return known.Name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// maxBootName keeps the names of boot files below what FAT and command lines of firmware can hold.
const maxBootName = 120

// bootName makes the name of a boot file one that every file system takes.
func bootName(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < 128 && (c == '.' || c == '_' || c == '+' || c == '-' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '_'
	}, name)
	return name[:min(len(name), maxBootName)]
}
