package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"imprint/closure"
	"imprint/closure/db"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/cas"
	"imprint/internal/notes"
	"imprint/internal/processors"
	"imprint/internal/remote"
	"imprint/internal/tree"

	"golang.org/x/sync/semaphore"
)

// A Cache is a binary cache. Its items can be read after [Realise].
type Cache struct {
	CacheOptions
	dir   *remote.Dir
	texts notes.Dir  // of a cache on another machine, from earlier builds
	about []byte     // what the cache has answered about itself, likewise
	kept  *cas.Store // nil before Realise
	now   *Fetch     // likewise

	asks     *semaphore.Weighted // for files that are asked for ahead
	compares *semaphore.Weighted // for items whose files are being compared
	heap     heap
	unkept   sync.Once // for the warning

	mu      sync.Mutex
	entries map[closure.Path]*entry
}

// asksAhead is the number of files that are asked for before they are needed. It is less than the number of connections to a server, so that nothing that is
// needed waits for them.
const asksAhead = 8

// CacheOptions describe a cache and the trust in it.
type CacheOptions struct {
	URL    string
	Flavor closure.Flavor
	Keys   []narinfo.Key // each item must be signed by one of them; without keys, signatures are not checked
	Keep   string        // directory of the build store, which keeps fetched archives; created with the first one
	Remote remote.Options
	Whole  context.Context // ends when nothing is read any more; nil for the context of OpenCache

	// Compares reports whether the files of an item are compared with each other before it is written. Others are streamed if the cache has their listings:
	// see [Cache.Stream]. With a nil Compares every item is fetched.
	Compares func(*tree.Node) bool
	Scratch  string      // directory for items that are compared, and not kept
	NoKeep   bool        // what is streamed from a server is not kept in the build store
	NotKept  func(error) // is called when something cannot be kept; may be nil
}

// An entry is an item that was looked up.
type entry struct {
	once  sync.Once
	text  *narinfo.Info
	info  *closure.Info
	err   error
	asked []byte      // what the cache has answered; nil if an earlier build had kept it
	kept  tree.Blob   // the archive in the build store; nil before Realise, and for one that is streamed
	file  *nar.Digest // of an item that is trusted if it is a file with this SHA-256; nil for others

	stream *streamed  // nil for an item without a listing
	tree   *tree.Node // of the listing
}

// maxCacheInfo is the maximum size in bytes of nix-cache-info, which usually has three lines.
const maxCacheInfo = 64 << 10

// OpenCache opens a cache and reads its nix-cache-info. It returns an [*InvalidError] if there is no cache, or one for another store directory.
func OpenCache(ctx context.Context, o CacheOptions) (*Cache, error) {
	if o.Whole == nil {
		o.Whole = ctx
	}
	dir, err := remote.Open(o.URL, o.Remote)
	c := &Cache{CacheOptions: o, dir: dir, asks: semaphore.NewWeighted(asksAhead),
		compares: semaphore.NewWeighted(int64(processors.Count())), entries: map[closure.Path]*entry{}}
	if err != nil {
		return nil, c.invalid("%v", err)
	}
	if !dir.Local() {
		sum := sha256.Sum256([]byte(dir.String()))
		c.texts = notes.Dir(filepath.Join(o.Keep, "narinfo", hex.EncodeToString(sum[:16])))
	}
	if text, found := c.texts.Get(narinfo.CacheFile); found && c.isOf(text) == nil {
		return c, nil
	}
	text, err := dir.ReadFile(ctx, narinfo.CacheFile, maxCacheInfo)
	if err != nil {
		return nil, c.notCache(err)
	}
	if err := c.isOf(text); err != nil {
		return nil, err
	}
	c.about = text
	return c, nil
}

// isOf checks the text of nix-cache-info.
func (c *Cache) isOf(text []byte) error {
	store, err := narinfo.ParseCache(string(text))
	switch {
	case err != nil:
		return c.invalid("%s: %v", narinfo.CacheFile, err)
	case store != c.Flavor.StoreDir:
		return c.invalid("its items are those of stores in %s, not in %s", tree.Shown(store), c.Flavor.StoreDir)
	}
	return nil
}

// String returns the URL, without a password.
func (c *Cache) String() string {
	if c.dir == nil { // it could not be opened, as what is not a URL, or has no password
		return c.URL
	}
	return c.dir.String()
}

// Close closes connections. Items that were realised can still be read.
func (c *Cache) Close() error {
	c.dir.Close()
	return nil
}

// notCache explains an error of reading nix-cache-info. It returns errors of the world.
func (c *Cache) notCache(err error) error {
	var refused *remote.RefusedError
	if errors.As(err, &refused) {
		return &InvalidError{c, err.Error(), refused.Hint}
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &InvalidError{c, fmt.Sprintf("not a binary cache: %v", err), remote.Hint(err)}
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

// isMissing reports whether an error means that a cache lacks a file. S3 answers "forbidden" for it, unless its files may be listed.
func isMissing(err error) bool {
	var status *remote.StatusError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &status) && errors.Is(err, fs.ErrPermission)
}

// wrong returns an InvalidError for a file of the cache, with the hint of err if it has one.
func (c *Cache) wrong(name string, err error) error {
	var own *InvalidError
	if errors.As(err, &own) {
		return own
	}
	return c.invalid("%s: %v", name, err)
}

// check returns the registration in a narinfo. It returns an error if that is of another item, or not to be trusted: see proof.
func (c *Cache) check(p closure.Path, text *narinfo.Info) (*closure.Info, error) {
	if text.StorePath != p.String() {
		return nil, fmt.Errorf("it is about %.300q, not %v", text.StorePath, p)
	}
	text.Choose(func(by string) int { return slices.Index(preferred, by) })
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
	return info, nil
}

// Item implements [closure.Store], for an item that was realised.
func (c *Cache) Item(_ context.Context, p closure.Path) (*tree.Node, error) {
	c.mu.Lock()
	e := c.entries[p]
	c.mu.Unlock()
	switch {
	case e != nil && e.tree != nil:
		return e.tree, nil
	case e == nil || e.kept == nil:
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
