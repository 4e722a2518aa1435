package fault

import (
	"iter"
	"slices"
	"strings"
)

// maxPath is the length in bytes at which paths are cut, PATH_MAX. Without it, nested directories with a fault each would make messages whose
// length is quadratic in the size of what is read.
const maxPath = 4096

// Path returns the path that names make, given from the last one up to that below the root, of which there may be none. Of a path that is too long
// it has the end, after "…"; then it asks for no more names. So readers need not keep paths, which together may be far longer than what is read.
func Path(up iter.Seq[string]) string {
	var names []string
	size := 0
	for name := range up {
		names = append(names, name)
		if size += 1 + len(name); size > maxPath {
			names = append(names, "…")
			break
		}
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}
