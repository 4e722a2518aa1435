package grubmkimage

import (
	"slices"
	"strings"
)

// Index is the name of the file in a directory of modules that says which ones need which.
const Index = "moddep.lst"

// images are the programs in such a directory that a core image may begin with (GRUB, util/mkimage.c).
var images = []string{"kernel.img", "diskboot.img", "cdboot.img", "lzma_decompress.img"}

// Reads returns the names of the files in a directory of modules that grub-mkimage may read for the named modules, sorted; index is the
// content of the directory's [Index], whose lines are "module: modules that it needs".
func Reads(index string, modules []string) []string {
	needs := map[string][]string{}
	for line := range strings.Lines(index) {
		module, others, _ := strings.Cut(line, ":")
		needs[module] = strings.Fields(others)
	}
	names := append([]string{Index}, images...)
	seen := map[string]bool{}
	for queue := slices.Clone(modules); len(queue) > 0; queue = queue[1:] {
		if module := queue[0]; !seen[module] {
			seen[module] = true
			names = append(names, module+".mod")
			queue = append(queue, needs[module]...)
		}
	}
	slices.Sort(names)
	return names
}
