package partition

import (
	"io"

	"imprint/internal/units"
	"imprint/partition/ext4"
	"imprint/partition/fat"
)

// Places is where a volume of an earlier image has what it holds, for a volume that should differ from it in few blocks: see [Spec.Stable].
type Places struct {
	why  string // they cannot be read
	ext4 *ext4.Places
	fat  *fat.Places
}

// Places reads where a volume of size bytes has what it holds. It returns nil for a file system that does not keep places. Where they cannot be
// read, the volume that comes after it says why it does not keep them.
func (f *Filesystem) Places(image io.ReaderAt, size int64) *Places {
	if f.places == nil {
		return nil
	}
	p, err := f.places(image, size)
	if err != nil {
		return &Places{why: err.Error()}
	}
	return p
}

// A Kept says what of a volume is where the earlier one had it.
type Kept struct {
	Anew   string // why the volume was laid out anew, "" if it was not
	Stayed int64  // bytes that are where something at the same path was
	Moved  int64  // bytes that are not
}

// anew returns what a volume keeps of an earlier one whose places cannot be read; whole is false if they can.
func (p *Places) anew() (k *Kept, whole bool) {
	switch {
	case p == nil:
		return nil, true
	case p.why != "":
		return &Kept{Anew: p.why}, true
	}
	return nil, false
}

// A keeper is a Maker that knows an earlier volume.
type keeper interface{ keeps() *Kept }

// KeptOf returns what a volume keeps of the earlier one, nil if there was none, or if it has no places to keep.
func KeptOf(m Maker) *Kept {
	if k, ok := m.(keeper); ok {
		return k.keeps()
	}
	return nil
}

// A volume whose places later ones should keep has room for their changes: a part of its content, in bytes, and of its inodes.
const (
	spareShare = 16
	leastSpare = units.MiB
)

// spare returns the bytes and inodes that a volume with this spec leaves free for changes.
func (s *Spec) spare() (bytes, inodes int64) {
	if !s.Stable || s.Size != 0 || s.Tree == nil {
		return 0, 0
	}
	for n := range s.Tree.Nodes() {
		bytes += n.Size()
	}
	return max(leastSpare, bytes/spareShare), max(spareShare, int64(s.Tree.Len())/spareShare)
}
