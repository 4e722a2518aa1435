// Package earlier reads what an image takes over from an earlier one of the same series, so that the two differ in few blocks: the seed, from
// which all identifiers derive, and where file systems have what they hold.
package earlier

import (
	"fmt"
	"io"

	"imprint/image/plan"
	"imprint/internal/repro"
	"imprint/partition"
)

// An Image is an earlier image.
type Image struct {
	Digest string // of the disk, as in manifests
	Seed   repro.Seed
	places map[string]*partition.Places // by the names of partitions and of their file systems
}

// Read reads the structure of a disk with a manifest. Whatever the disk holds, an image that takes over what is read is a valid one: a file system that
// cannot be read is laid out anew.
func Read(m *plan.Manifest, disk io.ReaderAt) (*Image, error) {
	seed, err := repro.ParseSeed(m.Seed)
	if err != nil {
		return nil, fmt.Errorf("manifest of the earlier image: %w", err)
	}
	i := &Image{Digest: m.Digest, Seed: seed, places: map[string]*partition.Places{}}
	for _, p := range m.Partitions {
		f := partition.Named(p.Filesystem)
		if f == nil || p.Inside != "" || p.Offset == nil || *p.Offset < 0 || p.Size <= 0 || p.Size > m.Size-*p.Offset {
			continue
		}
		if places := f.Places(io.NewSectionReader(disk, *p.Offset, p.Size), p.Size); places != nil {
			i.places[p.Name+"\x00"+p.Filesystem] = places
		}
	}
	return i, nil
}

// Places returns where the partition of that name, with that file system, had what it held; nil if there was none, or if that is not known.
func (i *Image) Places(name, filesystem string) *partition.Places {
	if i == nil {
		return nil
	}
	return i.places[name+"\x00"+filesystem]
}
