package image

import (
	"slices"
	"strings"

	"imprint/internal/tree"
)

// tableISO is what boot loaders call the table of an ISO.
const tableISO = "iso"

// volumeID makes a name one that every reader of ISO 9660 takes for the ID of a volume: d-characters, at most 32 (ECMA-119, 8.4.7).
func volumeID(name string) string {
	id := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
	return id[:min(len(id), 32)]
}

// modified makes a number a time whose digits serve as a UUID: from 1980 on, for 120 years, so that no reader finds it odd.
func modified(n uint32) int64 {
	const from, span = 315532800, 120 * 365 * 86400
	return from + int64(n)%span
}

// root is the partition that is mounted as root: the one that says whether it is volatile, else the one with the store, else the ISO's
// tree. It is nil where nothing tells.
func (d *Description) root() *PartitionDescription {
	for _, is := range []func(PartitionDescription) bool{
		func(p PartitionDescription) bool { return p.Volatile != nil },
		func(p PartitionDescription) bool { return len(p.Closures) > 0 },
		func(p PartitionDescription) bool { return p.Filesystem == filesystemISO },
	} {
		if i := slices.IndexFunc(d.Partition, is); i >= 0 {
			return &d.Partition[i]
		}
	}
	return nil
}

// The words of the kernel command line by which an initrd knows how to mount the root file system, besides root=.
const (
	wordVolatile = "systemd.volatile=overlay" // read-only, under an overlay in memory: kernel-command-line(7)
	wordImage    = "imprint.image="           // what root= names holds the root file system as the file of this path
)

// rootWords are those words for a description.
func (d *Description) rootWords() (words []string) {
	root := d.root()
	if root == nil {
		return nil
	}
	if root.Inside != "" {
		words = append(words, wordImage+root.Path)
	}
	if root.Volatile != nil && *root.Volatile {
		words = append(words, wordVolatile)
	}
	return words
}

// An innerImage is the content of a file that is a file system. Where it lies and how large it is becomes known when it is made.
type innerImage struct {
	partition *Partition
	tree.Blob
}

// HostRange is where the content lies, once it is made.
func (i *innerImage) HostRange() (path string, off int64) {
	return i.Blob.(interface{ HostRange() (string, int64) }).HostRange()
}

// inside adds the files that are file systems to the tree of the ISO.
func (f *filler) inside() {
	for _, p := range f.r.plan.Partitions {
		if p.Inside == f.p.Spec.Name && p.Inside != "" {
			n := tree.NewFile("", f.r.attrs().file, &innerImage{p, tree.Text("")})
			if err := f.b.Add(p.Path, n, p.Key+".path"); err != nil {
				f.r.problem(p.Key+".path", err.Error(), "choose another path")
			}
		}
	}
}
