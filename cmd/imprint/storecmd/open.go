package storecmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"imprint/closure"
	"imprint/closure/export"
	"imprint/closure/narinfo"
	"imprint/internal/compressed"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// A place is a store that is read.
type place struct {
	closure.Store
	text   string // as the user names it
	kind   string // in words
	flavor closure.Flavor
	prefix string             // of a directory
	image  *closure.TreeStore // of an image
	list   lister             // nil if the store cannot say what it has
	closes []io.Closer
}

// The kinds of places.
const (
	directoryKind = "store directory"
	cacheKind     = "binary cache"
	streamKind    = "export stream"
	imageKind     = "image"
	daemonKind    = "daemon"
)

// A lister lists everything in a store.
type lister interface {
	Paths(context.Context) ([]closure.Path, error)
}

func (p *place) close() {
	for _, c := range p.closes {
		c.Close()
	}
}

// infos returns the registration of everything in a store.
func (p *place) infos(ctx context.Context) ([]*closure.Info, error) {
	if p.list == nil {
		return nil, fmt.Errorf("%s does not say what it has: name PATHs", p.text)
	}
	if all, ok := p.list.(interface {
		Infos(context.Context) ([]*closure.Info, error)
	}); ok {
		list, err := all.Infos(ctx)
		return list, of(p.text, err)
	}
	paths, err := p.list.Paths(ctx)
	if err != nil {
		return nil, of(p.text, err)
	}
	return p.about(ctx, paths)
}

// about returns the registration of items.
func (p *place) about(ctx context.Context, paths []closure.Path) ([]*closure.Info, error) {
	infos := make([]*closure.Info, len(paths))
	for i, at := range paths {
		var err error
		if infos[i], err = p.Info(ctx, at); errors.Is(err, closure.ErrNotFound) {
			return nil, diag.List{{Position: diag.Position{File: p.text}, Text: err.Error()}}
		} else if err != nil {
			return nil, of(p.text, err)
		}
	}
	return infos, nil
}

// root returns the item that a ROOT or PATH names.
func (p *place) root(text string) (closure.Path, error) {
	if p.image != nil {
		if root, ok, err := p.image.ResolveRoot(text); ok || err != nil {
			return root, wrongRoot(err)
		}
	}
	root, err := p.flavor.ResolveRoot(text, p.prefix)
	return root, wrongRoot(err)
}

// wrongRoot returns an error about a name as one of the input.
func wrongRoot(err error) error {
	if err == nil {
		return nil
	}
	return diag.List{{Text: err.Error()}}
}

func (p *place) roots(texts []string) ([]closure.Path, error) {
	paths := make([]closure.Path, len(texts))
	for i, text := range texts {
		var err error
		if paths[i], err = p.root(text); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// An opener opens a store of one flavor.
type opener func(context.Context, string, closure.Flavor) (*place, error)

// open opens a store for reading. Without --flavor it is the first that the store has.
func (m *commands) open(ctx context.Context, text string) (*place, error) {
	open, rest, err := m.opener(text)
	if err != nil {
		return nil, err
	}
	flavors, err := m.flavors(text)
	if err != nil {
		return nil, err
	}
	var first error
	for _, f := range flavors {
		p, err := open(ctx, rest, f)
		if err == nil {
			p.text, p.flavor = text, f
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if first = cmp.Or(first, of(text, err)); !errors.As(first, new(diag.List)) {
			return nil, first // an error of the world, not of the flavor
		}
	}
	return nil, first
}

// opener returns how a store is opened, and its name for that.
func (m *commands) opener(text string) (opener, string, error) {
	if file, ok := strings.CutPrefix(text, "export:"); ok {
		return m.openExport, file, nil
	}
	switch {
	case text == "-":
		return m.openExport, text, nil
	case isDaemon(text):
		return m.openDaemon, text, nil
	case strings.Contains(text, "://"):
		return m.openCache, text, nil
	}
	info, err := os.Stat(text)
	switch {
	case err != nil && strings.LastIndexByte(text, ':') > 0:
		return m.openImage, text, nil
	case err != nil:
		return nil, "", diag.List{{Position: diag.Position{File: text}, Text: "there is no such store", Hint: "imprint store --help lists what may be one"}}
	case info.IsDir() && isCache(text):
		abs, err := filepath.Abs(text)
		return m.openCache, "file://" + abs, err
	case info.IsDir():
		return m.openDirectory, text, nil
	}
	stream, err := isStream(text)
	if stream || err != nil {
		return m.openExport, text, err
	}
	return m.openImage, text, nil
}

// isCache reports whether a directory is a binary cache.
func isCache(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, narinfo.CacheFile))
	return err == nil
}

// isStream reports whether a file is an export stream. Compressed images are not, unless they only look like one.
func isStream(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, export.Head)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return export.Begins(head[:n]) || compressed.By(head[:n]) != "" && !strings.Contains(filepath.Base(name), ".raw."), nil
}

func (m *commands) openDirectory(ctx context.Context, prefix string, f closure.Flavor) (*place, error) {
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	s, err := closure.OpenLocal(ctx, prefix, f, (&hosttree.Scanner{Attr: canonical, FilesOnly: true}).Read)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, diag.Mistake{Text: err.Error(), Hint: "a store directory has its database below it; for a stream write export:FILE"}
	}
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(prefix)
	return &place{Store: s, kind: directoryKind, prefix: strings.TrimRight(abs, "/"), list: s, closes: []io.Closer{s}}, err
}
