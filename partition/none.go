package partition

import (
	"iter"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// none is a partition of raw bytes.
var none = Filesystem{
	Name: "none", Raw: true,
	Refuses: map[string]string{
		"free": "", "label": "", "uuid": "", "engine": "", "features": "", "closures": "", "dir": "", "file": "", "link": "", "tree": "", "volatile": "",
		"attr": "", "fstab": "", "mount": "",
	},
	plan: newRaw,
}

// raw is a partition's content without a file system.
type raw struct {
	content tree.Blob
	size    int64
}

func newRaw(s Spec) (Maker, error) {
	need := units.Align(s.Content.Size(), s.SectorSize)
	if s.Size != 0 && s.Size < need {
		return nil, &DoesNotFit{Needed: need, Given: s.Size}
	}
	return raw{s.Content, max(s.Size, need, s.MinSize)}, nil
}

func (r raw) Size() int64 { return r.size }

func (r raw) Extents(from int64) iter.Seq[extent.Extent] {
	var list extent.List
	for _, d := range tree.DataOf(r.content) {
		list = append(list, extent.Extent{Off: d.Off, Len: d.Len, Blob: r.content, At: d.Off})
	}
	return list.Extents(from)
}

// A Made is a file system that a host tool has packed into a file.
type Made struct {
	raw
	stats Stats
}

// Stats implements Describer.
func (m Made) Stats() Stats { return m.stats }

// Ready is [New] for a partition whose content a [Packed] has made. The error is a *DoesNotFit if the size is too small.
func Ready(s Spec, content tree.Blob) (Maker, error) {
	inodes := int64(0)
	if s.Tree != nil {
		inodes = int64(s.Tree.Len())
	}
	s.Content = content
	m, err := newRaw(s)
	if err != nil {
		return nil, err
	}
	return Made{m.(raw), Stats{Exact: true, Inodes: inodes}}, nil
}
