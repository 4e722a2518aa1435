package closure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"imprint/closure/nar"
	"imprint/internal/fault"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// Verify compares a store in a tree with its database, and reports every fault: items that are missing or not registered, sizes and NAR hashes
// that differ from the registered ones, attributes that a store does not have, references and GC roots that lead nowhere, items that no root
// reaches. Contents are read, several items at a time. An error means that the database cannot be read.
func (s *TreeStore) Verify(ctx context.Context, report fault.Report) error {
	paths, err := s.Paths(ctx)
	if err != nil {
		return err
	}
	v := &storeVerifier{TreeStore: s, report: report, infos: map[Path]*Info{}}
	for _, p := range paths {
		info, err := s.Info(ctx, p)
		if err != nil {
			v.fault(p.String(), "registration", err.Error())
			continue
		}
		v.infos[p] = info
	}
	if s.unread > 0 {
		v.fault(s.flavor.Database()+"-wal", "store database", fmt.Sprintf("%d bytes of its write-ahead log were not read", s.unread))
	}
	if err := v.items(ctx); err != nil {
		return err
	}
	v.stray()
	v.references()
	v.roots()
	return v.VerifyLinks(ctx, report)
}

// A storeVerifier finds faults of a store.
type storeVerifier struct {
	*TreeStore
	report fault.Report
	infos  map[Path]*Info
}

func (v *storeVerifier) fault(path, object, text string) {
	v.report(fault.Fault{Offset: -1, Path: path, Object: object, Text: text})
}

// items compares every item with its registration.
func (v *storeVerifier) items(ctx context.Context) error {
	return VerifyItems(ctx, slices.Collect(maps.Values(v.infos)), v.Raw, v.report)
}

// Raw returns an item with the attributes that it has in the tree. The error is [fs.ErrNotExist] if it is not there.
func (s *TreeStore) Raw(p Path) (*tree.Node, error) {
	if n := s.find(p.String()); n != nil {
		return n, nil
	}
	return nil, fs.ErrNotExist
}

// VerifyItems compares items with what is registered about them: existence, attributes, size and hash, several at a time, the largest first, so
// that no worker is left with much. read returns an item with the attributes that it has; the error matches [fs.ErrNotExist] if it is not there.
func VerifyItems(ctx context.Context, infos []*Info, read func(Path) (*tree.Node, error), report fault.Report) error {
	order := slices.SortedFunc(slices.Values(infos), func(a, b *Info) int {
		return cmp.Or(cmp.Compare(b.NARSize, a.NARSize), a.Path.Compare(b.Path))
	})
	v := &itemVerifier{read: read, report: report}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for _, info := range order {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			v.item(info)
			return nil
		})
	}
	return group.Wait()
}

// An itemVerifier finds faults of items.
type itemVerifier struct {
	read   func(Path) (*tree.Node, error)
	mu     sync.Mutex
	report fault.Report
}

func (v *itemVerifier) fault(path, object, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report(fault.Fault{Offset: -1, Path: path, Object: object, Text: text})
}

// item compares an item with its registration.
func (v *itemVerifier) item(info *Info) {
	p := info.Path.String()
	n, err := v.read(info.Path)
	if errors.Is(err, fs.ErrNotExist) {
		v.fault(p, "store item", "is registered and not there")
		return
	}
	if err != nil {
		v.fault(p, "store item", err.Error())
		return
	}
	for below, n := range tree.Walk(p, n) {
		if text := odd(n); text != "" {
			v.fault(below, "store item", text)
		}
	}
	if n, err = Canonical(info.Path.Base(), n); err != nil {
		v.fault(p, "store item", err.Error())
		return
	}
	digest, size, err := nar.Hash(n)
	switch {
	case err != nil:
		v.fault(p, "store item", err.Error())
	case size != info.NARSize:
		v.fault(p, "NAR", fault.Mismatch("size", size, info.NARSize))
	case digest != info.NARHash:
		v.fault(p, "NAR", fault.Mismatch("hash", "sha256:"+nar.EncodeBase32(digest[:]), "sha256:"+nar.EncodeBase32(info.NARHash[:])))
	}
}

// odd returns a text about the first attribute of a node that a node in a store does not have; "" for none.
func odd(n *tree.Node) string {
	if n.Kind() == tree.Link || n.Attr == nil {
		return ""
	}
	want := CanonicalAttr(n.Kind(), n.Attr.Mode)
	a := n.Attr
	switch {
	case a.Mode != want.Mode:
		return fmt.Sprintf("mode is %04o, %04o is expected", a.Mode, want.Mode)
	case a.UID != 0 || a.GID != 0:
		return fmt.Sprintf("owner is %d:%d, 0:0 is expected", a.UID, a.GID)
	case a.Mtime != want.Mtime:
		return fmt.Sprintf("time is %d.%09d, %d is expected", a.Mtime.Sec, a.Mtime.Nsec, want.Mtime.Sec)
	case len(a.Xattrs) > 0:
		return fmt.Sprintf("it has the extended attribute %q", a.Xattrs[0].Name)
	}
	return ""
}

// stray reports nodes in the store directory that are not registered.
func (v *storeVerifier) stray() {
	dir := v.find(v.flavor.StoreDir)
	if dir == nil {
		return
	}
	for _, n := range dir.Children() {
		if n.Name == LinksDir {
			continue
		}
		p, err := v.flavor.ParsePath(v.flavor.StoreDir + "/" + n.Name)
		if err != nil || v.infos[p] == nil {
			v.fault(v.flavor.StoreDir+"/"+n.Name, "store", "is not registered")
		}
	}
}

// references reports references to paths that are not valid.
func (v *storeVerifier) references() {
	for p, info := range v.infos {
		for _, ref := range info.References {
			if v.infos[ref] == nil {
				v.fault(p.String(), "references", fmt.Sprintf("%v is not valid", ref))
			}
		}
	}
}

// roots reports GC roots that lead to no valid path, and items that none reaches.
func (v *storeVerifier) roots() {
	reached := map[Path]bool{}
	v.eachRoot(func(at string, p Path, err error) {
		switch {
		case err != nil:
			v.fault(at, "GC root", err.Error())
		case v.infos[p] == nil:
			v.fault(at, "GC root", fmt.Sprintf("leads to %v, which is not valid", p))
		default:
			v.reach(p, reached)
		}
	})
	for p := range v.infos {
		if !reached[p] {
			v.fault(p.String(), "store item", "no GC root reaches it")
		}
	}
}

// reach marks an item and everything that it refers to.
func (v *storeVerifier) reach(p Path, reached map[Path]bool) {
	for queue := []Path{p}; len(queue) > 0; {
		p, queue = queue[len(queue)-1], queue[:len(queue)-1]
		if reached[p] || v.infos[p] == nil {
			continue
		}
		reached[p] = true
		queue = append(queue, v.infos[p].References...)
	}
}

// SortFaults sorts faults by path, since items are verified in any order.
func SortFaults(list []fault.Fault) {
	slices.SortStableFunc(list, func(a, b fault.Fault) int { return strings.Compare(a.Path+"\x00"+a.Text, b.Path+"\x00"+b.Text) })
}
