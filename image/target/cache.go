package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/closure/narinfo"

	"golang.org/x/sync/errgroup"
)

// A Cache is a binary cache in a directory or a bucket (binary-cache-store.cc).
type Cache struct {
	CacheOptions
	files
}

// CacheOptions describe a binary cache.
type CacheOptions struct {
	Flavor      closure.Flavor
	Compression string             // of the archives: one of Compressions
	Key         *narinfo.SecretKey // signs each item; nil for none
	Listings    bool               // each archive has a listing
}

// files are the files of a cache, by their paths in it.
type files interface {
	fmt.Stringer
	// about returns the text of nix-cache-info. The error matches [fs.ErrNotExist] if there is none.
	about(context.Context) ([]byte, error)
	has(ctx context.Context, name string) (bool, error)
	// create creates a file without a name, which is gone after remove unless it was added.
	create(shown string) (f *os.File, remove func(), err error)
	// add adds a file of create with a size and hash in bytes, if the cache lacks it.
	add(ctx context.Context, name string, f *os.File, size int64, hash nar.Digest) error
	// write writes a file with a text.
	write(ctx context.Context, name, text string) error
}

// Compressions returns the compressions that a Cache can have, the default first, by their names in Nix.
func Compressions() []string { return []string{"zstd", "xz", "none"} }

// extensions are those of the names of archives.
var extensions = map[string]string{"zstd": ".zst", "xz": ".xz", "none": ""}

// openCache opens a cache, and makes one if there is none.
func openCache(ctx context.Context, o CacheOptions, f files) (*Cache, error) {
	c := &Cache{o, f}
	text, err := f.about(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return c, f.write(ctx, narinfo.CacheFile, narinfo.CacheText(o.Flavor.StoreDir))
	}
	if err != nil {
		return nil, err
	}
	store, err := narinfo.ParseCache(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %v", f, narinfo.CacheFile, err)
	}
	if store != o.Flavor.StoreDir {
		return nil, fmt.Errorf("%s: %s: its items are those of stores in %q, not in %s", f, narinfo.CacheFile, store, o.Flavor.StoreDir)
	}
	return c, nil
}

// about returns the name of the file about an item.
func about(p closure.Path) string { return digits(p) + ".narinfo" }

// digits returns the digits of a path.
func digits(p closure.Path) string {
	digits, _, _ := strings.Cut(p.Base(), "-")
	return digits
}

// lookups is the number of files that are looked for at a time.
const lookups = 32

// Lacking implements [Target].
func (c *Cache) Lacking(ctx context.Context, paths []closure.Path) (lacking []closure.Path, err error) {
	there := make([]bool, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, p := range paths {
		group.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			there[i], err = c.has(ctx, about(p))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, p := range paths {
		if !there[i] {
			lacking = append(lacking, p)
		}
	}
	return lacking, nil
}

var _ Target = (*Cache)(nil)
