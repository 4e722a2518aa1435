package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"imprint/closure"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// sources are the stores that items come from, in the order that they are asked.
type sources struct {
	r        *resolver
	stores   []closure.Store
	prefixes []string
	problems diag.List
}

// openSources opens every [[source]].
func openSources(ctx context.Context, r *resolver) (*sources, error) {
	s := &sources{r: r}
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	read := (&hosttree.Scanner{Attr: canonical, FilesOnly: true}).Read
	for i, d := range r.d.Source {
		prefix := r.path(d.Path)
		var store closure.Store
		var err error
		key := fmt.Sprintf("source[%d]", i)
		if d.Registration != "" {
			key += ".registration"
			store, err = closure.OpenRegistration(prefix, r.path(d.Registration), r.flavor, read)
		} else {
			key += ".path"
			store, err = closure.OpenNix(ctx, prefix, r.flavor, read)
		}
		if err != nil {
			s.refuse(key, err)
			continue
		}
		s.stores, s.prefixes = append(s.stores, store), append(s.prefixes, prefix)
	}
	return s, nil
}

func (s *sources) problem(key, text, hint string) {
	s.problems = append(s.problems, s.r.d.Problem(key, text, hint))
}

// refuse tells why a source cannot be used. Mistakes of a registration file have places of their own.
func (s *sources) refuse(key string, err error) {
	var list diag.List
	switch {
	case errors.As(err, &list):
		s.problems = append(s.problems, list...)
	case errors.Is(err, fs.ErrNotExist):
		s.problem(key, err.Error(), "a source needs the store's database below its path, or a registration file")
	default:
		s.problem(key, err.Error(), "")
	}
}

func (s *sources) close() {
	for _, store := range s.stores {
		if c, ok := store.(interface{ Close() error }); ok {
			c.Close()
		}
	}
}

// closures resolves the roots of every [[closure]] and computes all of them together, so that what two closures share is there once.
func (s *sources) closures(ctx context.Context) *closure.Closure {
	s.r.roots = map[string][]closure.Path{}
	var all []closure.Path
	keys := map[closure.Path]string{}
	for i, d := range s.r.d.Closure {
		c := &Closure{Name: d.Name, Profile: d.Profile}
		for k, text := range d.Roots {
			key := fmt.Sprintf("closure[%d].roots[%d]", i, k)
			root, err := s.root(text)
			if err != nil {
				s.problem(key, err.Error(), "")
				continue
			}
			keys[root] = key
			c.Roots, all = append(c.Roots, root), append(all, root)
		}
		s.r.roots[d.Name] = c.Roots
		s.r.plan.Closures = append(s.r.plan.Closures, c)
	}
	if len(s.problems) > 0 {
		return nil
	}
	result, err := closure.Compute(ctx, s.stores, all)
	s.blame(err, keys)
	return result
}

// blame turns what is wrong with a closure into problems: of the root itself where it is missing, else of the closures.
func (s *sources) blame(err error, keys map[closure.Path]string) {
	var missing *closure.MissingError
	switch {
	case err == nil:
		return
	case !errors.As(err, &missing):
		s.problem("closure", err.Error(), "")
		return
	}
	for _, m := range missing.Items {
		one := closure.MissingError{Items: []closure.MissingItem{m}, Stores: missing.Stores}
		s.problem(cmp.Or(keys[m.Path], "closure"), one.Error(), "")
	}
}

// root finds the item that a root names: a store path, or a link of the host or of a source.
func (s *sources) root(text string) (closure.Path, error) {
	var first error
	if !strings.HasPrefix(text, s.r.flavor.StoreDir+"/") {
		text = s.r.path(text)
	}
	for _, prefix := range s.prefixes {
		root, err := s.r.flavor.ResolveRoot(text, prefix)
		if err == nil {
			return root, nil
		}
		first = errors.Join(first, err)
	}
	if e, ok := first.(interface{ Unwrap() []error }); ok {
		first = e.Unwrap()[0]
	}
	return closure.Path{}, first
}
