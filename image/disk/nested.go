package disk

import (
	"strings"

	"imprint/internal/tree"
)

// Bounds of the search for file systems that are files of others: they lie near the top, and are no small files.
const (
	nestedDepth = 3
	nestedLeast = 16 << 10 // bytes
	nestedMost  = 64       // files that are looked at in one region
)

// nested adds the regions that are files of others.
func (d *Disk) nested() {
	for i := 0; i < len(d.Regions) && i < nestedMost; i++ {
		r := d.Regions[i]
		if r.Volume == nil {
			continue
		}
		looked := 0
		for path, n := range r.Volume.Tree.Walk() {
			if looked == nestedMost {
				break
			}
			if n.Kind() != tree.File || n.Size() < nestedLeast || strings.Count(path, "/") > nestedDepth {
				continue
			}
			looked++
			d.inner(r, path, n)
		}
	}
}

// inner adds a file that is a file system.
func (d *Disk) inner(r *Region, path string, n *tree.Node) {
	reader, err := n.Blob().Open()
	if err != nil {
		return
	}
	inner := &Region{In: r, Path: path, Size: n.Size(), content: reader}
	if inner.open(d.omit); inner.Kind == "" {
		reader.Close()
		return
	}
	d.Regions, r.inner = append(d.Regions, inner), append(r.inner, inner)
}
