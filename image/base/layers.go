package base

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"imprint/internal/cas"
	"imprint/internal/environment"
	"imprint/internal/hosttree"
	"imprint/internal/layer"
	"imprint/internal/oci"
	"imprint/internal/processors"
	"imprint/internal/tarindex"
	"imprint/internal/tarsums"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// base makes the layers of what was found.
func (s *search) base(ctx context.Context) (*Base, error) {
	layers := make([]*layer.Layer, len(s.parts))
	var missing []int
	for i, p := range s.parts {
		if layers[i] = s.indexed(p.sum); layers[i] == nil {
			missing = append(missing, i)
		}
	}
	if err := s.fetch(ctx, missing, layers); err != nil {
		return nil, fmt.Errorf("%v: %w", s.ref, err)
	}
	sums := make([]oci.Digest, len(layers))
	for i, l := range layers {
		var err error
		if sums[i], err = l.Digest(); err != nil {
			return nil, err
		}
	}
	return &Base{From: s.ref, Layers: layers, Pin: environment.PinOf(sums), Config: s.config}, nil
}

// indexed returns a layer that the build store has an index of, and the archive; nil if it does not.
func (s *search) indexed(sum oci.Digest) *layer.Layer {
	in, err := tarindex.Read(s.indexes(), sum, func(d tarindex.Digest, size int64) (tree.Blob, error) {
		if !s.kept.Has(d, size) {
			return nil, fs.ErrNotExist
		}
		return hosttree.File(s.kept.Path(d))
	})
	if err != nil {
		return nil
	}
	return in.Layer
}

// fetch gets the layers that the build store does not have, several at a time.
func (s *search) fetch(ctx context.Context, missing []int, layers []*layer.Layer) error {
	if len(missing) == 0 {
		return nil
	}
	f := &Fetch{From: s.ref.String(), Layers: len(missing)}
	for _, i := range missing {
		f.Total += s.parts[i].size
	}
	if s.Fetching != nil {
		s.Fetching(f)
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(max(3, processors.Count()))
	for _, i := range missing {
		group.Go(func() (err error) {
			layers[i], err = s.get(within, f, s.parts[i])
			if err != nil {
				err = fmt.Errorf("layer %d, %s: %w", i, oci.Text(s.parts[i].sum), err)
			}
			return err
		})
	}
	return group.Wait()
}

// get gets the archive of a layer into the build store, unless it is there, and makes the layer and its index.
func (s *search) get(ctx context.Context, f *Fetch, p part) (*layer.Layer, error) {
	sums := tarsums.New()
	archive, sum, err := s.archive(ctx, f, p, sums)
	if err != nil {
		return nil, err
	}
	l, err := layerOf(ctx, tree.HostPath(archive), sums)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cas.ErrMismatch, err) // it has its hash: whoever made it is to blame
	}
	_, err = tarindex.Write(s.indexes(), p.sum, tarindex.Index{Layer: l, Archive: sum, Size: archive.Size()})
	return l, err
}

// layerOf reads an archive as a layer, and pins its contents: those that have no hash yet are read.
func layerOf(ctx context.Context, path string, sums *tarsums.Hash) (*layer.Layer, error) {
	entries, err := hosttree.Tar(path, hosttree.TarOptions{Special: true})
	if err != nil {
		return nil, err
	}
	l, err := layer.Of(entries)
	if err != nil {
		return nil, err
	}
	files := l.Files()
	pinned := make([]tree.Blob, len(files))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for i, file := range files {
		if pinned[i] = hashed(file.Node.Blob(), sums); pinned[i] != nil {
			continue
		}
		group.Go(func() (err error) {
			if err = within.Err(); err == nil {
				pinned[i], err = tree.PinContent(within, file.Node.Blob())
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, file := range files {
		file.Node.SetBlob(pinned[i])
	}
	return l, nil
}

// hashed returns a content of an archive with its pin, if its hash is known; else nil.
func hashed(b tree.Blob, sums *tarsums.Hash) tree.Blob {
	if _, sparse := b.(tree.SparseBlob); sparse {
		return nil
	}
	r, err := b.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	_, at, ok := tree.Descriptor(r)
	if !ok {
		return nil
	}
	if sum, known := sums.Content(at, b.Size()); known {
		return tree.Pinned(b, sum)
	}
	return nil
}

// indexes is the directory of indexes in the build store.
func (s *search) indexes() string { return indexesIn(s.Keep) }

func indexesIn(keep string) string { return filepath.Join(keep, "indexes") }

// Sweep removes from a build store what was derived from archives that are not kept any more.
func Sweep(keep string) error {
	list, err := cas.List(keep)
	if err != nil {
		return err
	}
	kept := map[cas.Digest]int64{}
	for _, k := range list {
		kept[k.Digest] = k.Size
	}
	return tarindex.Sweep(indexesIn(keep), func(archive cas.Digest, size int64) bool {
		is, has := kept[archive]
		return has && is == size
	})
}
