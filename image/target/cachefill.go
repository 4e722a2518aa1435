package target

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"imprint/closure"
	"imprint/closure/listing"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/container/codec"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// adding is the number of archives that are added at a time, after they were packed.
const adding = 16

// A filling is a call of Put.
type filling struct {
	*Cache
	*Progress
	packing, adding turns
	named           map[closure.Path]chan struct{} // closed when the file about an item is there
}

// turns bound how many do something at a time.
type turns chan struct{}

// take waits for a turn, which done ends.
func (t turns) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turns) done() { <-t }

// Put implements [Target]. Archives are packed and added several at a time. The file about an item comes after its archive and after the files
// about what it refers to, so that whoever reads the cache meanwhile finds complete closures.
func (c *Cache) Put(ctx context.Context, items []closure.Item, p *Progress) error {
	f := &filling{c, p, make(turns, 2*processors.Count()), make(turns, adding), map[closure.Path]chan struct{}{}}
	group, inner := errgroup.WithContext(ctx)
	for _, item := range items {
		if f.packing.take(inner) != nil {
			break
		}
		before, named := f.before(item.Info), make(chan struct{})
		f.named[item.Info.Path] = named
		group.Go(func() error {
			err := f.put(inner, item, before)
			if err == nil {
				close(named)
			}
			return err
		})
	}
	return cmp.Or(group.Wait(), context.Cause(ctx))
}

// put adds the files of an item, the one about it after some others are there.
func (f *filling) put(ctx context.Context, item closure.Item, before []chan struct{}) error {
	node, err := item.Store.Item(ctx, item.Info.Path)
	if err != nil {
		f.packing.done()
		return closure.Reading(item.Info.Path, err)
	}
	text, err := f.archive(ctx, item.Info, node)
	if err == nil && f.Listings {
		err = f.list(ctx, item.Info.Path, node)
	}
	if err != nil {
		return err
	}
	for _, there := range before {
		select {
		case <-there:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return f.write(ctx, about(item.Info.Path), text.String())
}

// list adds the listing of an item. One with names that a listing cannot have goes without.
func (f *filling) list(ctx context.Context, p closure.Path, n *tree.Node) error {
	text, err := listing.Text(n)
	if errors.Is(err, listing.ErrNoText) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.write(ctx, digits(p)+listing.Suffix, string(text))
}

// before returns what is closed when the files are there about those earlier items that an item refers to.
func (f *filling) before(info *closure.Info) (list []chan struct{}) {
	for _, r := range info.References {
		if named := f.named[r]; named != nil {
			list = append(list, named)
		}
	}
	return list
}

// archive adds the archive of an item, and returns the text about it. It ends a turn of packing. While all turns of adding are taken, nothing else is
// packed, so that a slow cache does not fill the disk of this machine.
func (f *filling) archive(ctx context.Context, info *closure.Info, node *tree.Node) (*narinfo.Info, error) {
	packed := sync.OnceFunc(f.packing.done)
	defer packed()
	file, remove, err := f.create(info.Path.Base() + " (new)")
	if err != nil {
		return nil, err
	}
	defer remove()
	sum, size := sha256.New(), atomic.Int64{}
	if err := f.pack(ctx, io.MultiWriter(sum, counting{file, &size}), info, node); err != nil {
		return nil, err
	}
	text, digest := f.text(info), nar.Digest(sum.Sum(nil))
	text.FileHash, text.FileSize = &digest, size.Load()
	text.URL = "nar/" + nar.EncodeBase32(digest[:]) + ".nar" + extensions[f.Compression]
	if err := f.adding.take(ctx); err != nil {
		return nil, err
	}
	defer f.adding.done()
	packed()
	return text, f.add(ctx, text.URL, file, text.FileSize, digest)
}

// text returns the text about an item, without its archive.
func (c *Cache) text(info *closure.Info) *narinfo.Info {
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
	return text
}

// pack writes the compressed archive of an item.
func (f *filling) pack(ctx context.Context, w io.Writer, info *closure.Info, node *tree.Node) error {
	packed, err := codec.Writer(w, f.Compression)
	if err != nil {
		return err
	}
	if err := archiveOf(ctx, packed, info, node, nil, f.Progress); err != nil {
		packed.Close()
		return err
	}
	return packed.Close()
}
