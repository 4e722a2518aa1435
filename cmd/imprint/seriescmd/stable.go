package seriescmd

import (
	"context"
	"errors"
	"fmt"

	"imprint/cmd/imprint/envcmd"
	"imprint/image/earlier"
	"imprint/image/generation"
	"imprint/image/plan"
	"imprint/internal/named"
	"imprint/internal/objects"
	"imprint/internal/series"
	"imprint/internal/units"
	"imprint/partition"
)

// An Earlier is the current generation of a series, to whose layout an image keeps.
type Earlier struct {
	*earlier.Image
	after string // what that image itself has kept to
}

// OpenEarlier reads the layout of the current generation of a series; nil if there is none. A layout that is damaged is not used, and warn is
// called.
func OpenEarlier(ctx context.Context, store, name string, warn func(string)) (*Earlier, error) {
	env, err := envcmd.Open(store)
	if err != nil {
		return nil, err
	}
	s := series.Open(env.Contents())
	release, err := s.Use(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var unknown *named.UnknownError
	e, err := s.Series(name)
	if errors.As(err, &unknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g, err := e.Find(series.Current)
	if err != nil {
		return nil, err
	}
	base, m, err := load(s, g)
	if err != nil {
		return nil, err
	}
	disk, err := (&generation.Output{Contents: s.Contents(), Recipe: base.Recipe}).Structure(ctx)
	if errors.Is(err, objects.ErrDamaged) || errors.Is(err, objects.ErrMissing) {
		warn(fmt.Sprintf("generation %d of %s is not used for the layout: %v", g.Number, name, err))
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
	return &Earlier{image, m.After}, err
}

// Resolved returns what resolving a description takes over.
func (e *Earlier) Resolved() *earlier.Image {
	if e == nil {
		return nil
	}
	return e.Image
}

// settle names in a manifest the image whose layout was kept. An image that is that one is not after itself.
func (e *Earlier) settle(m *plan.Manifest) {
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
