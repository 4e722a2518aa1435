package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"imprint/closure"
	"imprint/closure/db"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/cas"
	"imprint/internal/remote"
	"imprint/internal/tree"
)

// A Cache is a binary cache. Its items can be read once they are realised: see [Realise].
type Cache struct {
	CacheOptions
	dir  *remote.Dir
	kept *cas.Store // nil before items were realised
	now  *Fetch     // likewise

	mu      sync.Mutex
	entries map[closure.Path]*entry
}

// CacheOptions say which cache it is, and what is believed of it.
type CacheOptions struct {
	URL    string
	Flavor closure.Flavor
	Keys   []narinfo.Key // one of them has to have signed an item; none means that signatures do not matter
	Keep   string        // directory of the build store, which has the archives that were fetched; it is made when there is one
}

// An entry is an item that was looked up.
type entry struct {
	once sync.Once
	text *narinfo.Info
	info *closure.Info
	err  error
	kept tree.Blob // the archive; nil before it was realised
}

// maxCacheInfo is the size in bytes of a text about a cache; it has three lines.
const maxCacheInfo = 64 << 10

// OpenCache opens a cache, and reads the text about it. A cache of stores in another directory is an [*InvalidError], and so is what is no cache.
func OpenCache(ctx context.Context, o CacheOptions) (*Cache, error) {
	dir, err := remote.Open(o.URL, remote.Options{})
	if err != nil {
		return nil, err
	}
	c := &Cache{CacheOptions: o, dir: dir, entries: map[closure.Path]*entry{}}
	text, err := dir.ReadFile(ctx, narinfo.CacheFile, maxCacheInfo)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, c.invalid("it is no binary cache: %v", err)
	}
	if err != nil {
		return nil, err
	}
	store, err := narinfo.ParseCache(string(text))
	switch {
	case err != nil:
		return nil, c.invalid("%s: %v", narinfo.CacheFile, err)
	case store != o.Flavor.StoreDir:
		return nil, c.invalid("its items are those of stores in %s, the image's is %s", tree.Shown(store), o.Flavor.StoreDir)
	}
	return c, nil
}

// String returns the URL, without a password.
func (c *Cache) String() string { return c.dir.String() }

// Close closes connections. Items that were realised can still be read.
func (c *Cache) Close() error {
	c.dir.Close()
	return nil
}

func (c *Cache) invalid(format string, args ...any) error {
	return &InvalidError{Source: c, Text: fmt.Sprintf(format, args...)}
}

// Info implements [closure.Store]. Each item is asked for once.
func (c *Cache) Info(ctx context.Context, p closure.Path) (*closure.Info, error) {
	c.mu.Lock()
	e := c.entries[p]
	if e == nil {
		e = &entry{}
		c.entries[p] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { e.err = c.look(ctx, p, e) })
	return e.info, e.err
}

// suffix is that of the names of texts about items.
const suffix = ".narinfo"

// look reads and checks the text about an item.
func (c *Cache) look(ctx context.Context, p closure.Path, e *entry) error {
	digits, _, _ := strings.Cut(p.Base(), "-")
	b, err := c.dir.ReadFile(ctx, digits+suffix, narinfo.MaxSize)
	if isMissing(err) {
		return fmt.Errorf("%s: %w", p, closure.ErrNotFound)
	}
	if err != nil {
		return err
	}
	if e.text, err = narinfo.Parse(string(b)); err == nil {
		e.info, err = c.check(p, e.text)
	}
	if err != nil {
		e.info = nil
		return c.wrong(digits+suffix, err)
	}
	return nil
}

// isMissing reports whether a cache does not have a file. S3 says that it is forbidden, unless its files may be listed.
func isMissing(err error) bool {
	var status *remote.StatusError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &status) && errors.Is(err, fs.ErrPermission)
}

// wrong returns the error about a text, which may have a hint of its own.
func (c *Cache) wrong(name string, err error) error {
	var own *InvalidError
	if errors.As(err, &own) {
		return own
	}
	return c.invalid("%s: %v", name, err)
}

// check returns the registration that a text has, if it is about the item and one of the keys has signed it.
func (c *Cache) check(p closure.Path, text *narinfo.Info) (*closure.Info, error) {
	if text.StorePath != p.String() {
		return nil, fmt.Errorf("it is about %.300q, not %v", text.StorePath, p)
	}
	if compressions[text.Compression] == "" {
		return nil, fmt.Errorf("compression %.40q is not supported", text.Compression)
	}
	if err := remote.CheckName(text.URL); err != nil {
		return nil, fmt.Errorf("URL: %v", err)
	}
	row := &db.Item{Path: text.StorePath, NARHash: text.NARHash, NARSize: text.NARSize, CA: text.CA, Sigs: slices.Compact(slices.Sorted(slices.Values(text.Sigs)))}
	for _, base := range slices.Compact(slices.Sorted(slices.Values(text.References))) {
		row.References = append(row.References, c.Flavor.StoreDir+"/"+base)
	}
	if text.Deriver != "" {
		row.Deriver = c.Flavor.StoreDir + "/" + text.Deriver
	}
	info, err := c.Flavor.Registered(p, row)
	if err != nil {
		return nil, err
	}
	if len(c.Keys) > 0 && !text.SignedBy(c.Keys, c.Flavor.StoreDir) {
		return nil, &InvalidError{c, fmt.Sprintf("%v %s", p, signers(text)), "add the key of the cache, if you trust it, to trusted-public-keys"}
	}
	return info, nil
}

// mostShown is how many signatures a message lists.
const mostShown = 5

// signers says by whom an item is signed, and thus not by a key that is trusted.
func signers(text *narinfo.Info) string {
	var names []string
	for _, name := range text.Signers() {
		names = append(names, fmt.Sprintf("%.60q", name))
	}
	if len(names) == 0 {
		return "is not signed"
	}
	return "is signed by " + strings.Join(names[:min(mostShown, len(names))], ", ") + ", and not by a key in trusted-public-keys"
}

// Item implements [closure.Store], for an item that was realised.
func (c *Cache) Item(_ context.Context, p closure.Path) (*tree.Node, error) {
	c.mu.Lock()
	e := c.entries[p]
	c.mu.Unlock()
	if e == nil || e.kept == nil {
		return nil, fmt.Errorf("%v was not fetched", p)
	}
	n, err := indexed(e.kept)
	if err != nil {
		return nil, c.invalid("the archive of %v is %v", p, err)
	}
	n.Name = p.Base()
	return n, nil
}

// indexed returns the tree of an archive.
func indexed(b tree.Blob) (*tree.Node, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	n, size, err := nar.Index(r, b, 0, closure.CanonicalAttr)
	if err == nil && size < b.Size() {
		err = fmt.Errorf("damaged: %d bytes follow its end", b.Size()-size)
	}
	return n, err
}
