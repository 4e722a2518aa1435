package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/cas"
	"imprint/internal/processors"
	"imprint/internal/unpack"

	"golang.org/x/sync/errgroup"
)

// compressions maps the names in a narinfo to those of package unpack.
var compressions = map[string]string{"none": "none", "xz": "xz", "zstd": "zstd", "gzip": "gzip", "bzip2": "bzip2", "br": "brotli", "lzip": "lzip"}

// preferred lists them from the slowest to unpack to the fastest.
var preferred = []string{"lzip", "bzip2", "xz", "br", "gzip", "zstd", "none"}

// fetches is the least number of concurrent fetches: one connection may be slow.
const fetches = 8

// realise implements realiser. It looks in the build store, and fetches the rest, the largest items first, so that no large one runs alone
// at the end.
func (c *Cache) realise(ctx context.Context, items []*closure.Info, report Report) error {
	var err error
	if c.kept, err = cas.Open(c.Keep); err != nil {
		return fmt.Errorf("open the build store: %w", err)
	}
	most := max(fetches, 2*processors.Count())
	if err := each(ctx, items, most, c.find); err != nil {
		return err
	}
	if err := c.list(ctx, items); err != nil {
		return err
	}
	missing := c.missing(items)
	c.now = &Fetch{From: c, Items: len(missing)}
	for _, info := range missing {
		c.now.Total += info.NARSize
	}
	if c.now.Items > 0 && report != nil {
		report(c.now)
	}
	slices.SortStableFunc(missing, func(a, b *closure.Info) int { return cmp.Compare(b.NARSize, a.NARSize) })
	if err := each(ctx, missing, most, c.obtain); err != nil {
		return err
	}
	if err := each(ctx, items, most, c.prove); err != nil {
		return err
	}
	c.remember(slices.DeleteFunc(slices.Clone(items), func(info *closure.Info) bool { return c.entries[info.Path].kept == nil }))
	return each(ctx, items, most, c.outputs)
}

// missing returns the items that have to be there before they are written. Those with a listing need not, unless their files are compared, and it
// takes long to unpack them once more.
func (c *Cache) missing(items []*closure.Info) (missing []*closure.Info) {
	for _, info := range items {
		if e := c.entries[info.Path]; e.kept == nil && (e.stream == nil || !c.twice(e) && c.Compares(e.tree)) {
			missing = append(missing, info)
		}
	}
	return missing
}

// twice reports whether an archive whose files are compared is best unpacked twice, for that and to be written: it is on this machine, and takes no
// longer to unpack than to write to a file and read from there.
func (c *Cache) twice(e *entry) bool {
	return c.dir.Local() && (e.text.Compression == "zstd" || e.text.Compression == "none")
}

// obtain makes an item readable.
func (c *Cache) obtain(ctx context.Context, info *closure.Info) error {
	if e := c.entries[info.Path]; e.stream != nil {
		return c.early(ctx, info)
	}
	return c.fetch(ctx, info)
}

// each calls do for all items, several at a time.
func each(ctx context.Context, items []*closure.Info, most int, do func(context.Context, *closure.Info) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(most)
	for _, info := range items {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return do(ctx, info)
		})
	}
	return group.Wait()
}

// find looks for an archive in the build store.
func (c *Cache) find(ctx context.Context, info *closure.Info) (err error) {
	e := c.entries[info.Path]
	if e.kept, err = c.kept.Get(ctx, info.NARHash, info.NARSize); errors.Is(err, fs.ErrNotExist) {
		e.kept, err = nil, nil
	}
	return err
}

// fetch fetches an archive into the build store.
func (c *Cache) fetch(ctx context.Context, info *closure.Info) (err error) {
	e := c.entries[info.Path]
	add := func(w io.Writer) error { return c.unpack(ctx, w, e.text) }
	if e.kept, err = c.kept.Add(ctx, info.NARHash, info.NARSize, add); err != nil && ctx.Err() == nil && c.renewed(ctx, info, e) {
		e.kept, err = c.kept.Add(ctx, info.NARHash, info.NARSize, add)
	}
	if err != nil {
		e.kept = nil
		return fmt.Errorf("%v from %v/%s: %w", info.Path, c, e.text.URL, err)
	}
	return nil
}

// renewed asks the cache again for the narinfo of an item that could not be fetched, if an earlier build had kept it, and reports whether the cache
// now has the item in another file.
func (c *Cache) renewed(ctx context.Context, info *closure.Info, e *entry) bool {
	if e.asked != nil {
		return false
	}
	c.texts.Remove(nameOf(info.Path))
	now := &entry{}
	if c.ask(ctx, info.Path, now) != nil || now.info.NARHash != info.NARHash || now.text.URL == e.text.URL {
		return false
	}
	e.text, e.asked = now.text, now.asked
	return true
}

// unpack fetches the compressed file of an archive, and writes the archive to w.
func (c *Cache) unpack(ctx context.Context, w io.Writer, text *narinfo.Info) error {
	file, err := c.dir.Open(ctx, text.URL)
	if err != nil {
		return err
	}
	defer file.Close()
	p := newPacked(file, text)
	r, err := unpack.Reader(p, compressions[text.Compression])
	if err != nil {
		return p.failed(err)
	}
	defer r.Close()
	to := &noting{w: w, n: &c.now.done}
	if _, err := io.CopyBuffer(to, r, make([]byte, 256<<10)); err != nil {
		return cmp.Or(to.err, p.failed(err))
	}
	return p.check()
}

// outputs fills in the outputs of a derivation.
func (c *Cache) outputs(ctx context.Context, info *closure.Info) error {
	if !info.Path.IsDerivation() {
		return nil
	}
	n, err := c.Item(ctx, info.Path)
	if err != nil {
		return err
	}
	if info.Outputs, err = c.Flavor.Outputs(n); err != nil {
		return c.invalid("derivation %v: %v", info.Path, err)
	}
	return nil
}

// A noting writer counts bytes, and keeps the error of the writer below it.
type noting struct {
	w   io.Writer
	n   *atomic.Int64
	err error
}

// Write implements io.Writer.
func (n *noting) Write(p []byte) (int, error) {
	k, err := n.w.Write(p)
	n.n.Add(int64(k))
	n.err = err
	return k, err
}

// packed reads the compressed file of an archive, and counts and hashes its bytes.
type packed struct {
	r    io.Reader
	text *narinfo.Info
	sum  hash.Hash // nil if it does not matter
	n    int64
	most int64
	err  error // of r
}

// newPacked bounds the size of a file. If it is unknown, the bound follows from the content: compressors hardly ever expand.
func newPacked(r io.Reader, text *narinfo.Info) *packed {
	most := text.FileSize
	if most == 0 {
		most = text.NARSize + text.NARSize/8 + 1<<20
	}
	return &packed{r: r, text: text, sum: sha256.New(), most: most}
}

// Read implements io.Reader.
func (p *packed) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.n += int64(n); p.n > p.most {
		n, err = 0, fmt.Errorf("%w: the file has more than %d bytes", cas.ErrMismatch, p.most)
	}
	if p.sum != nil {
		p.sum.Write(b[:n])
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// failed returns the reason of an unpacking error: the error of reading the file, else that its content is damaged.
func (p *packed) failed(err error) error {
	if p.err != nil {
		return p.err
	}
	return fmt.Errorf("%w: damaged: %s: %v", cas.ErrMismatch, p.text.Compression, err)
}

// check reads the file to its end, and compares its size and hash with the narinfo.
func (p *packed) check() error {
	if _, err := io.Copy(io.Discard, p); err != nil {
		return err
	}
	if p.text.FileSize > 0 && p.n != p.text.FileSize {
		return fmt.Errorf("%w: the file has %d bytes, not %d", cas.ErrMismatch, p.n, p.text.FileSize)
	}
	if want := p.text.FileHash; want != nil && p.sum != nil && nar.Digest(p.sum.Sum(nil)) != *want {
		return fmt.Errorf("%w: the file has the SHA-256 %x, not %x", cas.ErrMismatch, p.sum.Sum(nil), *want)
	}
	return nil
}
