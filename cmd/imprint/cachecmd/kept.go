package cachecmd

import (
	"time"

	"imprint/image/base"
	"imprint/internal/cas"
	"imprint/internal/units"
)

// A keptCount is what stats prints of contents that are kept by their hash: of bases, inputs and binary caches.
type keptCount struct {
	Contents int   `json:"contents"`
	Bytes    int64 `json:"bytes"`
}

func countKept(dir string) (n keptCount, err error) {
	list, err := cas.List(dir)
	for _, k := range list {
		n.Contents++
		n.Bytes += k.Size
	}
	return n, err
}

// pruneKept removes contents that were not read since a time, at most most of them if that is not negative, the oldest first.
func (w World) pruneKept(until time.Time, most int) error {
	dir, err := w.Store()
	if err != nil {
		return err
	}
	list, err := cas.List(dir)
	if err != nil {
		return err
	}
	removed := keptCount{}
	for _, k := range list {
		if !k.Read.Before(until) || most >= 0 && removed.Contents == most {
			break
		}
		if err := cas.Remove(dir, k.Digest); err != nil {
			return err
		}
		removed.Contents++
		removed.Bytes += k.Size
	}
	if err := base.Sweep(dir); err != nil {
		return err
	}
	return w.Print("removed %s (%s)\n", units.Count(removed.Contents, "kept content"), units.FormatBytes(removed.Bytes))
}
