package write

import (
	"fmt"
	"slices"

	"imprint/container"
	"imprint/image/plan"
	"imprint/internal/extent"
	"imprint/internal/output"
	"imprint/internal/pax"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// An archive is where the files of one region lie besides the disk, at offsets after it: contents that are read for the disk are written there
// from the same read.
type archive struct {
	place     func(list []extent.Extent, n *tree.Node) []extent.Extent // appends those of a file's content
	structure func() []extent.Extent                                   // headers, or the structure of a region in the archive
}

// archived is a region in an archive that begins at an offset.
func archived(l *pax.Layout, start int64) *archive {
	moved := func(list []extent.Extent) []extent.Extent {
		for i := range list {
			list[i].Off += start
		}
		return list
	}
	return &archive{
		place: func(list []extent.Extent, n *tree.Node) []extent.Extent {
			first := len(list)
			list = l.Place(list, n)
			moved(list[first:])
			return list
		},
		structure: func() []extent.Extent { return moved(structure(l)) },
	}
}

// inner is a region that is a file of an archived one.
func (a *archive) inner(r *plan.Region, file *tree.Node) *archive {
	places, m := a.place(nil, file), r.Maker.(partition.Placer)
	return &archive{
		place: func(list []extent.Extent, n *tree.Node) []extent.Extent {
			return append(list, extent.Through(places, m.Place(nil, n))...)
		},
		structure: func() []extent.Extent { return extent.Through(places, structure(m)) },
	}
}

// structure returns the extents of a source that are not the content of a file.
func structure(src extent.Source) (list []extent.Extent) {
	for e := range src.Extents(0) {
		if e.Meta {
			list = append(list, e)
		}
	}
	return list
}

// archives are those of a build: each has a volume after the disk's.
type archives struct {
	of      map[*plan.Region][]*archive
	volumes []*stream.Volume
	formats []*formats // of those that are packed
	spools  []*output.Output
}

// newArchives lays out the archives of the outputs that hold trees.
func newArchives(o Options, p *plan.Plan, l *plan.Layout) (a *archives, err error) {
	a = &archives{of: map[*plan.Region][]*archive{}}
	for _, out := range o.Formats {
		if !out.Format.Tree {
			continue
		}
		if err := a.add(out, p, l); err != nil {
			return a, err
		}
	}
	return a, nil
}

// add lays out the archive of an output.
func (a *archives) add(out Formatted, p *plan.Plan, l *plan.Layout) error {
	i := slices.IndexFunc(l.Regions, func(r *plan.Region) bool { return r.Partition.Spec.Name == out.Partition })
	if i < 0 || l.Regions[i].Tree == nil {
		return fmt.Errorf("write %s: there is no partition %q with files", out.File.Name(), out.Partition)
	}
	layout, layers, err := layoutOf(out.Format, p, l.Regions[i])
	if err != nil {
		return fmt.Errorf("write %s: partition %q: %w", out.File.Name(), out.Partition, err)
	}
	out.Options.Image.Layers = layers
	end := l.Size
	if k := len(a.volumes) - 1; k >= 0 {
		end = a.volumes[k].Start + a.volumes[k].Size
	}
	v := &stream.Volume{Start: units.Align(end, stream.PieceSize), Size: layout.Size(), File: out.File}
	a.volumes = append(a.volumes, v)
	a.region(l, l.Regions[i], archived(layout, v.Start))
	if out.packs() {
		err = a.pack(out, p, l, v)
	}
	if err != nil {
		return err
	}
	return v.File.Truncate(v.Size)
}

// layoutOf lays out the archive of a region; for a format with layers, one archive for each.
func layoutOf(f *container.Format, p *plan.Plan, r *plan.Region) (l *pax.Layout, layers []container.Layer, err error) {
	if f.Layers {
		return layersOf(p, r)
	}
	l, err = pax.New(r.Tree, pax.Options{Sparse: true})
	return l, nil, err
}

// region adds an archive of a region, and those of the regions that are files of it.
func (a *archives) region(l *plan.Layout, r *plan.Region, as *archive) {
	a.of[r] = append(a.of[r], as)
	for _, inner := range l.Regions {
		if inner.In != r {
			continue
		}
		if file := r.Tree.Find(inner.Partition.Path); isRegion(file) { // otherwise a host tool has packed it, and it is a file like others
			a.region(l, inner, as.inner(inner, file))
		}
	}
}

// pack has an archive packed while it is written. Its own bytes are in a scratch file where several jobs share a piece, and those of layers all are,
// since each is hashed.
func (a *archives) pack(out Formatted, p *plan.Plan, l *plan.Layout, v *stream.Volume) error {
	spool, err := output.Create(out.Path())
	if err != nil {
		return err
	}
	a.spools = append(a.spools, spool)
	v.File, v.Scratch, v.Digest = spool.File, !out.Format.Layers, stream.NewPieces(v.Size)
	v.Digest.NoSums = true
	f, err := newFormats([]Formatted{out}, p, l, v)
	a.formats = append(a.formats, f)
	return err
}

// discard removes scratch files.
func (a *archives) discard() {
	for _, f := range a.formats {
		f.discard()
	}
	for _, s := range a.spools {
		s.Discard()
	}
}

// places appends where a file's content lies in the archives of its region.
func (a *archives) places(list []extent.Extent, r *plan.Region, n *tree.Node) []extent.Extent {
	if a == nil {
		return list
	}
	for _, as := range a.of[r] {
		list = as.place(list, n)
	}
	return list
}

// have reports whether a region is archived.
func (a *archives) have(r *plan.Region) bool { return a != nil && len(a.of[r]) > 0 }

// archives reports whether a region, or one around it, is archived.
func (o Options) archives(r *plan.Region) bool {
	return r != nil && (o.archives(r.In) || slices.ContainsFunc(o.Formats, func(f Formatted) bool { return f.Format.Tree && f.Partition == r.Partition.Spec.Name }))
}
