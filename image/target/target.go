// Package target puts store items into stores: a store directory ([Directory]), an export stream ([Stream]), a binary cache ([Cache]),
// which is a directory or in a bucket, or a daemon's ([Daemon]).
// [Copy] adds what a target lacks, references first, so that a target is complete in itself at every moment: one that is interrupted
// is continued by the next copy.
//
// The contents of each item are compared with its registered NAR hash on the way.
package target

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// A Target is a store that takes items.
type Target interface {
	fmt.Stringer
	// Lacking returns those of some paths that are not valid in the target, in their order.
	Lacking(ctx context.Context, paths []closure.Path) ([]closure.Path, error)
	// Put adds items. Each comes after what it refers to, unless that is valid already.
	Put(ctx context.Context, items []closure.Item, p *Progress) error
}

// Progress is that of a copy.
type Progress struct {
	Items int   // to copy
	Total int64 // bytes of their NARs
	done  atomic.Int64
}

// Done returns the number of bytes that were copied so far.
func (p *Progress) Done() int64 { return p.done.Load() }

// Copy puts those items of a list into a target that it lacks, each after what it refers to, and returns them. report is called before that;
// it may be nil. realise makes the items readable that are to be copied: see package source.
//
// The error is a [*closure.MissingError] if an item would refer to what is neither in the list nor in the target, unless that is a stream. It
// matches [cas.ErrMismatch] if an item does not have the NAR hash or size of its registration.
func Copy(ctx context.Context, to Target, items []closure.Item, realise func([]closure.Item) error, report func(*Progress)) ([]closure.Item, error) {
	paths := make([]closure.Path, len(items))
	for i, item := range items {
		paths[i] = item.Info.Path
	}
	lacking, err := to.Lacking(ctx, paths)
	if err != nil {
		return nil, err
	}
	wanted := map[closure.Path]bool{}
	for _, p := range lacking {
		wanted[p] = true
	}
	if err := complete(ctx, to, items); err != nil {
		return nil, err
	}
	var list []closure.Item
	p := &Progress{}
	for _, item := range items {
		if wanted[item.Info.Path] {
			list, p.Total = append(list, item), p.Total+item.Info.NARSize
		}
	}
	if p.Items = len(list); realise != nil && p.Items > 0 {
		if err := realise(list); err != nil {
			return nil, err
		}
	}
	if report != nil {
		report(p)
	}
	return list, to.Put(ctx, list, p)
}

// complete returns an error unless what items refer to is among them or in the target.
func complete(ctx context.Context, to Target, items []closure.Item) error {
	if _, ok := to.(*Stream); ok {
		return nil
	}
	known, from := map[closure.Path]bool{}, map[closure.Path][]closure.Path{}
	for _, item := range items {
		known[item.Info.Path] = true
	}
	for _, item := range items {
		for _, r := range item.Info.References {
			if !known[r] {
				from[r] = append(from[r], item.Info.Path)
			}
		}
	}
	if len(from) == 0 {
		return nil
	}
	lacking, err := to.Lacking(ctx, slices.SortedFunc(maps.Keys(from), closure.Path.Compare))
	if err != nil || len(lacking) == 0 {
		return err
	}
	missing := &closure.MissingError{Stores: []string{to.String()}}
	for _, p := range lacking {
		missing.Items = append(missing.Items, closure.MissingItem{Path: p, Referrers: from[p]})
	}
	return missing
}

// buffers are for the contents of files.
var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// archive writes the NAR of an item to w, and compares it with the registration. also, which may be nil, returns a second writer for the
// contents of a file, which is closed.
func archive(ctx context.Context, w io.Writer, item closure.Item, also func(*tree.Node) (io.WriteCloser, error), p *Progress) error {
	node, err := item.Store.Item(ctx, item.Info.Path)
	if err != nil {
		return closure.Reading(item.Info.Path, err)
	}
	return archiveOf(ctx, w, item.Info, node, also, p)
}

// archiveOf is archive for the tree of an item.
func archiveOf(ctx context.Context, w io.Writer, info *closure.Info, node *tree.Node, also func(*tree.Node) (io.WriteCloser, error), p *Progress) error {
	if size := nar.Size(node); size != info.NARSize {
		return fmt.Errorf("%v: %w: its NAR has %d bytes, not %d", info.Path, cas.ErrMismatch, size, info.NARSize)
	}
	h := sha256.New()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	err := nar.Write(io.MultiWriter(h, counting{w, &p.done}), node, func(w io.Writer, file *tree.Node) error {
		return content(ctx, w, file, also, *buf)
	})
	switch {
	case errors.Is(err, tree.ErrChanged):
		return fmt.Errorf("%w: %w", cas.ErrMismatch, closure.Reading(info.Path, err))
	case err != nil:
		return closure.Reading(info.Path, err)
	case nar.Digest(h.Sum(nil)) != info.NARHash:
		return fmt.Errorf("%v: %w: its NAR has the hash sha256:%s, not sha256:%s", info.Path, cas.ErrMismatch,
			nar.EncodeBase32(h.Sum(nil)), nar.EncodeBase32(info.NARHash[:]))
	}
	return nil
}

// content writes the content of a file into an archive, and to the second writer if there is one.
func content(ctx context.Context, w io.Writer, file *tree.Node, also func(*tree.Node) (io.WriteCloser, error), buf []byte) error {
	if also == nil {
		return tree.Copy(ctx, w, file.Inode().Blob(), buf)
	}
	second, err := also(file)
	if err != nil {
		return err
	}
	return errors.Join(tree.Copy(ctx, io.MultiWriter(w, second), file.Inode().Blob(), buf), second.Close())
}

// counting counts the bytes on the way to a writer.
type counting struct {
	w io.Writer
	n *atomic.Int64
}

// Write implements io.Writer.
func (c counting) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n.Add(int64(n))
	return n, err
}
