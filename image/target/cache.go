package target

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/container/codec"
	"imprint/internal/processors"
	"imprint/internal/scratch"

	"golang.org/x/sync/errgroup"
)

// A Cache is a binary cache in a directory (binary-cache-store.cc).
type Cache struct{ CacheOptions }

// CacheOptions describe a binary cache.
type CacheOptions struct {
	Dir         string
	Flavor      closure.Flavor
	Compression string             // of the archives: one of Compressions
	Key         *narinfo.SecretKey // signs each item; nil for none
}

// Compressions returns the compressions that a Cache can have, the default first, by their names in Nix.
func Compressions() []string { return []string{"zstd", "xz", "none"} }

// extensions are those of the names of archives.
var extensions = map[string]string{"zstd": ".zst", "xz": ".xz", "none": ""}

// OpenCache opens a cache, and makes one of a directory that is empty or not there.
func OpenCache(o CacheOptions) (*Cache, error) {
	c := &Cache{o}
	name := filepath.Join(o.Dir, narinfo.CacheFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Join(o.Dir, "nar"), 0o777); err != nil {
			return nil, err
		}
		return c, c.place(name, func(w io.Writer) error {
			_, err := io.WriteString(w, narinfo.CacheText(o.Flavor.StoreDir))
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	store, err := narinfo.ParseCache(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %v", name, err)
	}
	if store != o.Flavor.StoreDir {
		return nil, fmt.Errorf("%s: its items are those of stores in %q, not in %s", name, store, o.Flavor.StoreDir)
	}
	return c, os.MkdirAll(filepath.Join(o.Dir, "nar"), 0o777)
}

// String returns the directory.
func (c *Cache) String() string { return c.Dir }

// about returns the path of the file about an item.
func (c *Cache) about(p closure.Path) string {
	digits, _, _ := strings.Cut(p.Base(), "-")
	return filepath.Join(c.Dir, digits+".narinfo")
}

// Lacking implements [Target].
func (c *Cache) Lacking(_ context.Context, paths []closure.Path) (lacking []closure.Path, err error) {
	for _, p := range paths {
		switch _, err := os.Lstat(c.about(p)); {
		case errors.Is(err, fs.ErrNotExist):
			lacking = append(lacking, p)
		case err != nil:
			return nil, err
		}
	}
	return lacking, nil
}

// Put implements [Target]. Archives are written several at a time. The files about the items get their names in the order of the items, so that
// whoever reads the cache meanwhile finds complete closures.
func (c *Cache) Put(ctx context.Context, items []closure.Item, p *Progress) error {
	texts := make([]*narinfo.Info, len(items))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	ready := make([]chan struct{}, len(items))
	for i := range items {
		ready[i] = make(chan struct{})
	}
	named := make(chan error, 1)
	go func() { named <- c.name(ctx, items, texts, ready) }()
	for i, item := range items {
		group.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if texts[i], err = c.archive(ctx, item, p); err == nil {
				close(ready[i])
			}
			return err
		})
	}
	err := group.Wait()
	return cmp.Or(err, <-named)
}

// name writes the files about items, each after its archive is there and those of earlier items are.
func (c *Cache) name(ctx context.Context, items []closure.Item, texts []*narinfo.Info, ready []chan struct{}) error {
	for i, item := range items {
		select {
		case <-ready[i]:
		case <-ctx.Done():
			select {
			case <-ready[i]: // all are ready, and the group has ended
			default:
				return context.Cause(ctx)
			}
		}
		err := c.place(c.about(item.Info.Path), func(w io.Writer) error {
			_, err := io.WriteString(w, texts[i].String())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// archive writes the archive of an item, and returns the text about it.
func (c *Cache) archive(ctx context.Context, item closure.Item, p *Progress) (*narinfo.Info, error) {
	info := item.Info
	text := &narinfo.Info{
		StorePath: info.Path.String(), Compression: c.Compression, NARHash: info.NARHash, NARSize: info.NARSize, CA: info.CA,
		Sigs: slices.Clone(info.Sigs),
	}
	for _, r := range info.References {
		text.References = append(text.References, r.Base())
	}
	if info.Deriver != "" {
		text.Deriver = path.Base(info.Deriver)
	}
	if c.Key != nil {
		text.Sign(*c.Key, c.Flavor.StoreDir)
	}
	f, remove, err := scratch.Create(filepath.Join(c.Dir, "nar"), info.Path.Base()+" (new)")
	if err != nil {
		return nil, err
	}
	defer remove()
	sum, size := sha256.New(), atomic.Int64{}
	if err := c.pack(ctx, io.MultiWriter(sum, counting{f, &size}), item, p); err != nil {
		return nil, err
	}
	digest := nar.Digest(sum.Sum(nil))
	text.FileHash, text.FileSize = &digest, size.Load()
	text.URL = "nar/" + nar.EncodeBase32(digest[:]) + ".nar" + extensions[c.Compression]
	return text, publish(f, filepath.Join(c.Dir, text.URL))
}

// pack writes the compressed archive of an item.
func (c *Cache) pack(ctx context.Context, w io.Writer, item closure.Item, p *Progress) error {
	packed, err := codec.Writer(w, c.Compression)
	if err != nil {
		return err
	}
	if err := archive(ctx, packed, item, nil, p); err != nil {
		packed.Close()
		return err
	}
	return packed.Close()
}

// place writes a file of the cache, which appears complete.
func (c *Cache) place(name string, fill func(io.Writer) error) error {
	f, remove, err := scratch.Create(filepath.Dir(name), name+" (new)")
	if err != nil {
		return err
	}
	defer remove()
	if err := fill(f); err != nil {
		return err
	}
	return publish(f, name)
}

// publish names a file. One that has the name already is as good: it has the same content, or is about the same item.
func publish(f *os.File, name string) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := scratch.Link(f, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

var _ Target = (*Cache)(nil)
