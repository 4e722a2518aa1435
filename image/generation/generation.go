// Package generation keeps a disk in the build store, as contents by digest and a recipe, from which it can be made again when its sources are
// gone.
//
// The data of a store item is one content, and so are those of some other files together, whatever file system holds them: generations and
// formats share them. A content that an earlier recipe has under the same key, a NAR hash or the pins of files, is not read again.
package generation

import (
	"context"
	"fmt"
	"io"
	"slices"

	"imprint/closure/outline"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/extent"
	"imprint/internal/objects"
	"imprint/internal/processors"
	"imprint/internal/recipe"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// A Kept is a disk that is kept.
type Kept struct {
	Recipe *recipe.Recipe
	Fresh  map[objects.Digest]bool // contents that were added now, and so were read and verified
	Reused int                     // number of contents of files that were there
	Read   int                     // number of those that were not, or not under that key

	Outlines *outline.Set // of all items that were verified, now or for an earlier disk; nil if nothing was known of outlines
}

// Earlier is what is known of earlier disks.
type Earlier struct {
	Recipes  []*recipe.Recipe
	Outlines *outline.Set // of items that were verified; nil if those of this disk are not to be kept
}

// Keep keeps the disk of a layout. Contents that an earlier one has under the same key are taken from there, unless they are gone, or have one
// of exported, contents that are also read besides. All others are read and verified.
//
// Errors match [write.ErrMismatch] if a source differs from its hash.
func Keep(ctx context.Context, p *write.Prepared, contents *objects.Store, exported []tree.Blob, known Earlier) (*Kept, error) {
	k := &keeper{from: p, contents: contents, outlines: known.Outlines, known: map[string]recipe.Content{}}
	for _, r := range known.Recipes {
		for _, c := range r.Contents {
			k.known[c.Key] = c
		}
	}
	for _, b := range exported {
		for _, piece := range tree.Pieces(b) {
			k.exported = append(k.exported, piece.Blob)
		}
	}
	k.survey()
	if err := k.structure.addFilled(p); err != nil {
		return nil, err
	}
	if err := k.checkOthers(ctx); err != nil {
		return nil, err
	}
	return k.keep(ctx)
}

// A keeper keeps a disk.
type keeper struct {
	from      *write.Prepared
	contents  *objects.Store
	known     map[string]recipe.Content // by key
	outlines  *outline.Set              // known
	packs     packs
	structure structure
	files     []placed           // of the disk, with data in packs
	others    map[tree.Blob]bool // not in a pack, but on the disk
	bare      []int              // indexes of items without data
	unseen    []tree.Blob        // with pins, and not on the disk as they are
	exported  []tree.Blob        // read besides, so that a pack with one is read, too
}

// A placed part of a file has a place on the disk.
type placed struct {
	*part
	off, size, at int64 // on the disk, and from where in the file on
}

// survey finds all packs, and sorts the extents of the disk into files and structure.
func (k *keeper) survey() {
	k.packs.at, k.others = map[tree.Blob]*part{}, map[tree.Blob]bool{}
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		for i, item := range k.from.Plan.Items {
			if k.packs.item(item) == nil {
				k.bare = append(k.bare, i)
			}
		}
	}()
	var contents []extent.Extent
	for e := range k.from.Layout.Extents(0) {
		if e.Meta {
			k.structure.add(e)
		} else {
			contents = append(contents, e)
		}
	}
	<-packed
	k.files = make([]placed, 0, len(contents))
	left := contents[:0] // of files that are in no item
	for _, e := range contents {
		if !k.place(e) {
			left = append(left, e)
			k.others[e.Blob] = true
		}
	}
	k.packs.files(k.pinned())
	for _, e := range left {
		if k.place(e) {
			delete(k.others, e.Blob)
		} else {
			k.structure.add(e)
		}
	}
	k.packs.drop()
	slices.SortFunc(k.structure.extents, byOffset)
}

// place notes where a file of a pack is on the disk. It returns false for others.
func (k *keeper) place(e extent.Extent) bool {
	t := k.packs.at[e.Blob]
	if t == nil {
		return false
	}
	t.onDisk = true
	k.files = append(k.files, placed{t, e.Off, e.Len, e.At})
	return true
}

// pinned returns the contents with pins that are on the disk, in the order of the trees, and notes those that are not.
func (k *keeper) pinned() (list []tree.Blob) {
	seen := func(b tree.Blob) bool { t := k.packs.at[b]; return k.others[b] || t != nil && t.onDisk }
	for _, r := range k.from.Layout.Regions {
		if r.Tree == nil || r.ByHostTool() {
			continue
		}
		for n := range r.Tree.Nodes() {
			if n.Kind() != tree.File {
				continue
			}
			switch _, pinned := tree.PinOf(n.Blob()); {
			case pinned && seen(n.Blob()):
				list = append(list, n.Blob())
			case pinned:
				k.unseen = append(k.unseen, n.Blob())
			}
		}
	}
	return list
}

// checkOthers verifies what no pack has: contents of which a boot program was made, or that the file system changes, and items without data.
func (k *keeper) checkOthers(ctx context.Context) error {
	read := func(b tree.Blob) error {
		return k.from.Content(b, func(h io.Writer) error {
			if h == nil {
				return nil
			}
			return tree.Copy(ctx, h, b, nil)
		})
	}
	for _, b := range slices.Concat(k.unseen, k.from.Plan.BootInputs) {
		if err := read(b); err != nil {
			return err
		}
	}
	for b := range k.others {
		if src, _ := extent.SourceOf(b); src != nil {
			continue
		}
		if err := read(b); err != nil {
			return err
		}
	}
	for _, i := range k.bare {
		err := k.from.Item(ctx, k.from.Plan.Items[i], func(n *tree.Node, h io.Writer) error { return tree.Copy(ctx, h, n.Inode().Blob(), nil) })
		if err != nil {
			return err
		}
	}
	return nil
}

// keep adds all contents, and returns the recipe of the disk.
func (k *keeper) keep(ctx context.Context) (*Kept, error) {
	result := &Kept{Fresh: map[objects.Digest]bool{}}
	chunks := k.structure.chunks()
	packed, structure := make([]recipe.Content, len(k.packs.list)), make([]chunk, len(chunks))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	fresh := make([]bool, len(k.packs.list))
	for i, p := range k.packs.list {
		if c, has := k.there(p.key); has && c.Size == p.size && !p.hasOne(k.exported) {
			packed[i] = c
			result.Reused++
			continue
		}
		fresh[i] = true
		result.Read++
		group.Go(func() (err error) { packed[i], err = k.pack(within, p); return err })
	}
	for i, list := range chunks {
		group.Go(func() (err error) { structure[i], err = k.chunk(within, list); return err })
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	for i, c := range packed {
		result.Fresh[c.Digest] = fresh[i]
	}
	for _, c := range structure {
		result.Fresh[c.content.Digest] = c.fresh
	}
	var err error
	if result.Outlines, err = k.outline(fresh); err != nil {
		return nil, err
	}
	result.Recipe, err = k.recipe(packed, structure)
	return result, err
}

// outline returns the outlines of items that were verified: those in packs that were read, and those without data.
func (k *keeper) outline(read []bool) (*outline.Set, error) {
	if k.outlines == nil {
		return nil, nil
	}
	verified := make([]*plan.Item, 0, len(k.from.Plan.Items))
	for i, p := range k.packs.list {
		if p.item != nil && read[i] {
			verified = append(verified, p.item)
		}
	}
	for _, i := range k.bare {
		verified = append(verified, k.from.Plan.Items[i])
	}
	set := outline.NewSet()
	for _, item := range verified {
		if err := set.Add(item.Info.NARHash, item.Node); err != nil {
			return nil, fmt.Errorf("%s: %w", item.Info.Path, err)
		}
	}
	for _, item := range k.from.Plan.Items {
		if !set.Has(item.Info.NARHash) {
			set.Take(item.Info.NARHash, k.outlines)
		}
	}
	return set, nil
}

// there returns the content that an earlier disk has under a key, unless it is gone.
func (k *keeper) there(key string) (recipe.Content, bool) {
	c, has := k.known[key]
	return c, has && k.contents.Has(c.Digest)
}

// pack adds the content of a pack.
func (k *keeper) pack(ctx context.Context, p *pack) (recipe.Content, error) {
	d, size, err := k.contents.Make(ctx, func(w io.Writer) error { return p.fill(ctx, k.from, w) })
	return recipe.Content{Digest: d, Size: size, Key: p.key}, err
}

// recipe assembles the recipe of the disk.
func (k *keeper) recipe(packed []recipe.Content, structure []chunk) (*recipe.Recipe, error) {
	b, index := recipe.New(k.from.Layout.Size), map[*pack]int{}
	for i, p := range k.packs.list {
		index[p] = b.Content(packed[i])
	}
	for _, f := range k.files {
		f.runs(f.at, f.size, func(skip, n, in int64) {
			b.Add(recipe.Run{Off: f.off + skip, Len: n, Content: index[f.pack], At: in})
		})
	}
	for _, c := range structure {
		if len(c.runs) == 0 {
			continue
		}
		i := b.Content(c.content)
		for _, r := range c.runs {
			r.Content = i
			b.Add(r)
		}
	}
	return b.Recipe()
}
