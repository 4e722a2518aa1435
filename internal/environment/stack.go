package environment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprint/internal/layer"
	"imprint/internal/objects"
	"imprint/internal/processors"
	"imprint/internal/tree"

	"golang.org/x/sync/errgroup"
)

// A Link is a layer in a stack.
type Link struct {
	Pin   objects.Digest // of the stack that ends with it
	Layer objects.Digest
}

// Bounds of what is read: the depth of a stack in layers, the bytes of a link and those of a layer's record.
const (
	maxDepth  = 10_000
	maxLink   = 1 << 10
	maxRecord = 1 << 30
)

const linkForm = "imprint link 1\nbelow %s\nlayer %s\n"

// lowest stands for the pin below the first layer.
const lowest = "nothing"

// linkText is the text whose digest is the pin of a layer on a stack; below is nil for the first one.
func linkText(below *objects.Digest, layer objects.Digest) []byte {
	under := lowest
	if below != nil {
		under = objects.Text(*below)
	}
	return fmt.Appendf(nil, linkForm, under, objects.Text(layer))
}

// PinOn returns the pin of a layer on the stack with a pin, nil for none. The link is not added.
func PinOn(below *objects.Digest, layer objects.Digest) objects.Digest {
	return sha256.Sum256(linkText(below, layer))
}

// PinOf returns the pin of a stack of layers, the lowest first, whether an environment has it or not. There is at least one.
func PinOf(layers []objects.Digest) (pin objects.Digest) {
	var below *objects.Digest
	for _, layer := range layers {
		next := PinOn(below, layer)
		pin = next
		below = &next
	}
	return pin
}

// parseLink is the inverse of linkText.
func parseLink(text []byte) (below *objects.Digest, layer objects.Digest, err error) {
	var under, digest string
	if _, err := fmt.Sscanf(string(text), linkForm, &under, &digest); err != nil {
		return nil, layer, errors.New("is no link of a stack")
	}
	if under != lowest {
		pin, err := objects.Parse(under)
		if err != nil {
			return nil, layer, err
		}
		below = &pin
	}
	layer, err = objects.Parse(digest)
	if err == nil && string(linkText(below, layer)) != string(text) {
		err = errors.New("is no link of a stack")
	}
	return below, layer, err
}

// Stack returns the links of the stack with a pin, the lowest first. Every link is verified; layers are not read.
func (s *Store) Stack(pin objects.Digest) (stack []Link, err error) {
	for next := &pin; next != nil; {
		if len(stack) == maxDepth {
			return nil, fmt.Errorf("the stack %s has more than %d layers", objects.Text(pin), maxDepth)
		}
		text, err := s.contents.Text(*next, maxLink)
		if err != nil {
			return nil, fmt.Errorf("read the stack %s: %w", objects.Text(pin), err)
		}
		below, layer, err := parseLink(text)
		if err != nil {
			return nil, fmt.Errorf("read the stack %s: %s %w", objects.Text(pin), objects.Text(*next), err)
		}
		stack = append(stack, Link{*next, layer})
		next = below
	}
	slices.Reverse(stack)
	return stack, nil
}

// Layer returns a layer, whose files have contents of the store. Contents that are missing are an error.
func (s *Store) Layer(d objects.Digest) (*layer.Layer, error) {
	return s.layer(d, func(path string, f layer.File) (tree.Blob, error) {
		b, err := s.contents.Get(f.Pin, f.Size, f.Data)
		if err != nil {
			return nil, fmt.Errorf("the content of %s: %w", tree.Shown(path), err)
		}
		return b, nil
	})
}

// Outline returns a layer without looking at contents, which cannot be read then.
func (s *Store) Outline(d objects.Digest) (*layer.Layer, error) {
	return s.layer(d, func(_ string, f layer.File) (tree.Blob, error) {
		b := tree.Blob(absent(f.Size))
		if f.Data != nil {
			b = tree.Sparse(b, f.Data)
		}
		return tree.Pinned(b, f.Pin), nil
	})
}

// absent is the size in bytes of a content that is not looked at.
type absent int64

func (a absent) Size() int64              { return int64(a) }
func (absent) Open() (tree.Reader, error) { return nil, errors.New("the content was not asked for") }

func (s *Store) layer(d objects.Digest, content func(string, layer.File) (tree.Blob, error)) (*layer.Layer, error) {
	text, err := s.contents.Text(d, maxRecord)
	if err != nil {
		return nil, fmt.Errorf("read the layer %s: %w", objects.Text(d), err)
	}
	l, err := layer.Parse(text, content)
	if err != nil {
		return nil, fmt.Errorf("read the layer %s: %w", objects.Text(d), err)
	}
	return l, nil
}

// Layers returns the layers of a stack, the lowest first, each read by read: [Store.Layer] or [Store.Outline].
func Layers(stack []Link, read func(objects.Digest) (*layer.Layer, error)) ([]*layer.Layer, error) {
	list := make([]*layer.Layer, len(stack))
	for i, link := range stack {
		var err error
		if list[i], err = read(link.Layer); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Tree returns the tree of a stack. Its contents are in the store.
func (s *Store) Tree(pin objects.Digest) (*tree.Tree, error) { return s.merge(pin, s.Layer) }

// OutlineTree returns the tree of a stack, whose contents cannot be read.
func (s *Store) OutlineTree(pin objects.Digest) (*tree.Tree, error) { return s.merge(pin, s.Outline) }

func (s *Store) merge(pin objects.Digest, read func(objects.Digest) (*layer.Layer, error)) (*tree.Tree, error) {
	stack, err := s.Stack(pin)
	if err != nil {
		return nil, err
	}
	layers, err := Layers(stack, read)
	if err != nil {
		return nil, err
	}
	t, err := layer.Tree(layers, Implied)
	if err != nil {
		return nil, fmt.Errorf("merge the stack %s: %w", objects.Text(pin), err)
	}
	return t, nil
}

// Implied has the attributes of directories that no layer has itself.
var Implied = &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: 1}}

// Use keeps what is in the store from being collected until release is called. Whoever adds something holds it from before that until an
// environment leads there.
func (s *Store) Use(ctx context.Context) (release func(), err error) {
	return s.contents.Lock(ctx, "use.lock", false)
}

// Add adds a layer with its contents, which are pinned afterwards and read from the store. The caller holds [Store.Use].
func (s *Store) Add(ctx context.Context, l *layer.Layer) (objects.Digest, error) {
	if err := s.AddContents(ctx, l); err != nil {
		return objects.Digest{}, err
	}
	record, err := l.Record()
	if err != nil {
		return objects.Digest{}, err
	}
	if len(record) > maxRecord {
		return objects.Digest{}, fmt.Errorf("the layer is too large: its record has %d bytes, %d are allowed", len(record), maxRecord)
	}
	return s.contents.PutText(ctx, record)
}

// has reports whether a content is one of the store's.
func (s *Store) has(b tree.Blob) bool {
	_, pinned := tree.PinOf(b)
	return pinned && strings.HasPrefix(tree.HostPath(b), s.dir+"/")
}

// AddContents adds the contents of a layer's files, which are pinned afterwards and read from the store. The caller holds [Store.Use].
func (s *Store) AddContents(ctx context.Context, l *layer.Layer) error {
	files := l.Files()
	files = slices.DeleteFunc(files, func(f tree.Walked) bool { return s.has(f.Node.Blob()) })
	stored := make([]tree.Blob, len(files))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(2 * processors.Count())
	for i, f := range files {
		group.Go(func() (err error) {
			if err = within.Err(); err == nil {
				stored[i], err = s.contents.Put(within, f.Node.Blob())
			}
			if err != nil {
				err = fmt.Errorf("store %s: %w", tree.Shown(f.Path), err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	for i, f := range files {
		f.Node.SetBlob(stored[i])
	}
	return nil
}
