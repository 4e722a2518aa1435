package inspect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"imprint/internal/processors"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"

	"golang.org/x/sync/errgroup"
)

// Deep holds what takes reading all file maps, and many contents.
type Deep struct {
	Files      int         `json:"files"`      // with content; hard links count once
	Pieces     int         `json:"pieces"`     // in which their contents lie
	Whole      int         `json:"whole"`      // files that lie in one piece
	Fragmented []Fragments `json:"fragmented"` // the files with the most pieces
	Duplicates int         `json:"duplicates"` // files equal to another in content, mode and owner that are not hard links to it
	Saved      int64       `json:"savedBytes"` // bytes in whole blocks that hard links in their place would save
	Unreadable int         `json:"unreadable,omitempty"`
}

// Fragments is a file that lies in several pieces.
type Fragments struct {
	Path   string `json:"path"`
	Pieces int    `json:"pieces"`
}

const mostFragmented = 10

// deep looks at every file of a volume.
func deep(ctx context.Context, v *partition.Volume) (*Deep, error) {
	d := &Deep{}
	equal := map[lookalike][]*tree.Node{}
	for path, n := range v.Tree.Walk() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if n.Kind() != tree.File || n.Size() == 0 {
			continue
		}
		d.fragments(path, n.Blob())
		if v.Filesystem.Owners {
			key := lookalike{n.Size(), n.Attr.Mode, n.Attr.UID, n.Attr.GID}
			equal[key] = append(equal[key], n)
		}
	}
	slices.SortFunc(d.Fragmented, func(a, b Fragments) int {
		return cmp.Or(cmp.Compare(b.Pieces, a.Pieces), cmp.Compare(a.Path, b.Path))
	})
	d.Fragmented = d.Fragmented[:min(len(d.Fragmented), mostFragmented)]
	return d, d.compare(ctx, equal, v.Stats.BlockSize)
}

// fragments counts the pieces of a file.
func (d *Deep) fragments(path string, b tree.Blob) {
	placed, ok := b.(tree.PlacedBlob)
	if !ok {
		return
	}
	d.Files++
	n := len(placed.Parts())
	if d.Pieces += n; n <= 1 {
		d.Whole++
		return
	}
	d.Fragmented = append(d.Fragmented, Fragments{path, n})
	if len(d.Fragmented) > 1000*mostFragmented { // more are not worth the memory
		slices.SortFunc(d.Fragmented, func(a, b Fragments) int { return cmp.Compare(b.Pieces, a.Pieces) })
		d.Fragmented = d.Fragmented[:mostFragmented]
	}
}

// A lookalike holds the fields of an inode that equal files share.
type lookalike struct {
	size     int64
	mode     uint16
	uid, gid uint32
}

// compare hashes files that may be equal, several at a time.
func (d *Deep) compare(ctx context.Context, equal map[lookalike][]*tree.Node, blockSize int64) error {
	type candidate struct {
		key    lookalike
		digest [sha256.Size]byte
		ok     bool
	}
	var all []*candidate
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for key, nodes := range equal {
		if len(nodes) < 2 {
			continue
		}
		for _, n := range nodes {
			c := &candidate{key: key}
			all = append(all, c)
			group.Go(func() error {
				var err error
				c.digest, err = digestOf(ctx, n.Blob())
				c.ok = err == nil
				return ctx.Err()
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	seen := map[candidate]bool{}
	for _, c := range all {
		switch {
		case !c.ok:
			d.Unreadable++
		case seen[*c]:
			d.Duplicates++
			d.Saved += units.Align(c.key.size, max(1, blockSize))
		}
		seen[*c] = true
	}
	return nil
}

// digestOf returns the SHA-256 of the data of a content and its offsets, so that holes need not be read.
func digestOf(ctx context.Context, b tree.Blob) (digest [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, r := range tree.DataOf(b) {
		if err := addRange(ctx, h, b, r); err != nil {
			return digest, err
		}
	}
	h.Sum(digest[:0])
	return digest, nil
}

func addRange(ctx context.Context, h hash.Hash, b tree.Blob, r tree.Range) error {
	var at [16]byte
	binary.LittleEndian.PutUint64(at[:], uint64(r.Off))
	binary.LittleEndian.PutUint64(at[8:], uint64(r.Len))
	h.Write(at[:])
	if err := tree.Copy(ctx, h, tree.Slice(b, r.Off, r.Len), nil); err != nil {
		return fmt.Errorf("read content: %w", err)
	}
	return nil
}
