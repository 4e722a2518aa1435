package closures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"imprint/closure"
	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// sources are the stores from which items come, in the order of search.
type sources struct {
	finder
	stores   []closure.Store
	places   []place // of each store
	problems diag.List
}

// A place is where a source is: a directory, or an image.
type place struct {
	key    diag.Key
	prefix string             // of store paths on the host
	image  *closure.TreeStore // nil for a directory
	held   bool               // closed when the plan is no longer used
}

// open opens every [[source]].
func (s *sources) open(ctx context.Context) error {
	for _, d := range s.d.Source.Items {
		open := s.openDirectory
		switch {
		case d.Image.Written():
			open = s.openImage
		case d.URL.Written():
			open = s.openCache
		case d.Export.Written():
			open = s.openExport
		}
		if err := open(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// openDirectory opens a store with a database, or a directory with a registration file.
func (s *sources) openDirectory(ctx context.Context, d description.Source) (err error) {
	prefix, key := s.path(d.Path.V), d.Path.Key
	var opened closure.Store
	if d.Registration.V != "" {
		key = d.Registration.Key
		opened, err = closure.OpenRegistration(ctx, prefix, s.path(d.Registration.V), s.Flavor, s.reader())
	} else {
		opened, err = s.openLocal(ctx, prefix)
	}
	if err != nil {
		return s.refuse(key, err)
	}
	s.add(opened, place{key: d.Path.Key, prefix: prefix})
	return nil
}

// reader returns what reads items of this machine.
func (f finder) reader() closure.ReadFunc {
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	return (&hosttree.Scanner{Attr: canonical, FilesOnly: true, Backwards: f.Backwards}).Read
}

// openLocal opens a store with a database on this machine. If there is only one of another flavor, the error is a [diag.Mistake].
func (s *sources) openLocal(ctx context.Context, prefix string) (closure.Store, error) {
	opened, err := closure.OpenLocal(ctx, prefix, s.Flavor, s.reader())
	if err == nil {
		return opened, nil
	}
	if other, ok := s.Flavor.OtherAt(prefix); ok && errors.Is(err, fs.ErrNotExist) {
		return nil, diag.Mistake{Text: err.Error(), Hint: ofFlavor(other)}
	}
	return nil, err
}

// ofFlavor is the hint where there is only a store of another flavor.
func ofFlavor(other closure.Flavor) string {
	return fmt.Sprintf("there is a store of %s: flavor = %q in [store]", other.Title, other.Name)
}

func (s *sources) add(opened closure.Store, p place) {
	s.stores, s.places = append(s.stores, opened), append(s.places, p)
}

func (s *sources) close() {
	for i, opened := range s.stores {
		if s.places[i].held {
			continue
		}
		if c, ok := opened.(interface{ Close() error }); ok {
			c.Close()
		}
	}
}
