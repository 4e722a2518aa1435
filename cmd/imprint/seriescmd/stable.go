package seriescmd

import (
	"context"
	"errors"
	"fmt"

	"imprint/image/earlier"
	"imprint/image/generation"
	"imprint/image/plan"
	"imprint/internal/objects"
	"imprint/internal/series"
	"imprint/internal/units"
	"imprint/partition"
)

// An earlierImage is the current generation of a series, to whose layout an image keeps.
type earlierImage struct {
	*earlier.Image
	after string // what that image itself has kept to
}

// KeepLayout reads the layout of the current generation, for an image that keeps to it; nil if there is none. A layout that is damaged is not used, and
// warn is called.
func (b *Build) KeepLayout(ctx context.Context, warn func(string)) (*earlier.Image, error) {
	e, err := b.series()
	if err != nil || e == nil {
		return nil, err
	}
	g, err := e.Find(series.Current)
	if err != nil {
		return nil, err
	}
	base, m, err := load(b.store, g)
	if err != nil {
		return nil, err
	}
	disk, err := (&generation.Output{Contents: b.store.Contents(), Recipe: base.Recipe}).Structure(ctx)
	if errors.Is(err, objects.ErrDamaged) || errors.Is(err, objects.ErrMissing) {
		warn(fmt.Sprintf("generation %d of %s is not used for the layout: %v", g.Number, b.name, err))
		m.Partitions = nil // the seed stays
		disk, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if disk != nil {
		defer disk.Close()
	}
	image, err := earlier.Read(m, disk)
	if err == nil {
		b.earlier = &earlierImage{image, m.After}
	}
	return image, err
}

// settle names in a manifest the image whose layout was kept. An image that is that one is not after itself.
func (e *earlierImage) settle(m *plan.Manifest) {
	if e != nil && m.Digest == e.Digest {
		m.After = e.after
	}
}

// A Layout says what of a partition is where the generation before has it.
type Layout struct {
	Partition string `json:"partition"`
	Anew      string `json:"anew,omitempty"` // why it was laid out anew
	Stayed    int64  `json:"stayed"`         // bytes
	Moved     int64  `json:"moved"`          // bytes that are new, or elsewhere
}

// layouts returns what partitions keep.
func layouts(l *plan.Layout) (list []Layout) {
	for _, r := range l.Regions {
		if k := partition.KeptOf(r.Maker); k != nil {
			list = append(list, Layout{r.Partition.Spec.Name, k.Anew, k.Stayed, k.Moved})
		}
	}
	return list
}

// text returns the line about a partition.
func (l Layout) text() string {
	if l.Anew != "" {
		return fmt.Sprintf("  layout    %s is laid out anew: %s\n", l.Partition, line(l.Anew))
	}
	return fmt.Sprintf("  layout    %s: %s stay in their place, %s are new\n", l.Partition, units.FormatBytes(l.Stayed), units.FormatBytes(l.Moved))
}
