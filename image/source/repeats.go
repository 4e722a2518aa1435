package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"

	"imprint/internal/cas"
	"imprint/internal/tree"
)

// A repeat is one place of a content that an archive has at several.
type repeat struct {
	off int64
	of  *repeated
}

// A repeated is a content that an archive has at several offsets, and its tree once.
type repeated struct {
	size int64   // bytes, at least one
	at   []int64 // ascending
}

// Compare lets the files of an item be compared with each other before it is verified, until the returned function is called. They are best read in
// the order of the archive.
func (t *Stream) Compare(ctx context.Context) (end func(), err error) {
	s := t.s
	if err := s.cache.compares.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := s.compare(ctx); err != nil {
		s.cache.compares.Release(1)
		return nil, s.failed(err)
	}
	return s.compared, nil
}

// compare leaves it to whoever reads to verify, for a time. An archive that is unpacked twice passes once for that.
func (s *streamed) compare(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil && s.apart == nil && s.cache.twice(s.e) {
		var file io.ReadCloser
		if file, err = s.open(ctx); err == nil {
			s.pass, err = newPass(file, s.e)
		}
		if err == nil {
			s.pass.watch = &watch{sum: sha256.New()}
		}
	}
	s.trusted, s.equal = err == nil, map[int64]*repeated{}
	return err
}

func (s *streamed) compared() {
	defer s.cache.compares.Release(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repeats, s.equal = repeatsOf(s.equal), nil
	if s.trusted = false; s.pass != nil {
		s.before = s.pass.watch
		s.pass.close()
		s.pass = nil
	}
}

// Again says that two files of an item were found to be equal, and that from now on the second is read as the first. While files are read in
// the order of the archive, the bytes at the second place are what is read then. It is called in that order, before the function that Compare
// returns.
func (t *Stream) Again(first, second tree.Blob) {
	if second.Size() == 0 {
		return
	}
	s, from, to := t.s, tree.Pieces(first)[0].Off, tree.Pieces(second)[0].Off
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.equal[from]
	if of == nil {
		of = &repeated{first.Size(), []int64{from}}
		s.equal[from] = of
	}
	of.at = append(of.at, to)
}

// repeatsOf returns the places of contents, by offset.
func repeatsOf(equal map[int64]*repeated) (list []repeat) {
	for _, of := range equal {
		for _, off := range of.at {
			list = append(list, repeat{off, of})
		}
	}
	slices.SortFunc(list, func(a, b repeat) int { return cmp.Compare(a.off, b.off) })
	return list
}

// ahead returns the next offset from at on that has the same byte as off.
func (s *streamed) ahead(off, at int64) (next int64, found bool) {
	k, exact := slices.BinarySearchFunc(s.repeats, off, func(r repeat, off int64) int { return cmp.Compare(r.off, off) })
	if !exact {
		k--
	}
	if k < 0 || off-s.repeats[k].off >= s.repeats[k].of.size {
		return 0, false
	}
	r := s.repeats[k]
	within, places := off-r.off, r.of.at
	if k, _ = slices.BinarySearch(places, at-within); k == len(places) {
		return 0, false
	}
	return places[k] + within, true
}

// A watch makes sure that the contents that were compared are the same in the pass that writes.
type watch struct {
	places []tree.Range // of the archive, in order; while it is written, those that have not passed
	sum    hash.Hash    // of their bytes
}

// compared takes the bytes of a file that are compared, after others before them.
func (w *watch) compared(b []byte, off int64) {
	if k := len(w.places) - 1; k >= 0 && w.places[k].End() == off {
		w.places[k].Len += int64(len(b))
	} else {
		w.places = append(w.places, tree.Range{Off: off, Len: int64(len(b))})
	}
	w.sum.Write(b)
}

// passed takes the bytes at an offset of the archive, after those before it.
func (w *watch) passed(b []byte, at int64) {
	for end := at + int64(len(b)); len(w.places) > 0; w.places = w.places[1:] {
		r := w.places[0]
		if lo, hi := max(r.Off, at), min(r.End(), end); lo < hi {
			w.sum.Write(b[lo-at : hi-at])
		}
		if end < r.End() {
			return
		}
	}
}

// check returns an error if the contents differ from those in the pass before.
func (w *watch) check(before *watch) error {
	if [sha256.Size]byte(w.sum.Sum(nil)) != [sha256.Size]byte(before.sum.Sum(nil)) {
		return fmt.Errorf("%w: the archive has changed since its files were compared", cas.ErrMismatch)
	}
	return nil
}
