// Package export reads and writes the streams of nix-store --export and guix archive --export (export-import.cc; local-store.cc of Guix). Items come after those that they refer to. Each has the
// number 1, the item's archive, a magic number, its path, references and deriver, and the number 0; a 1 there means that a signature follows,
// which Nix no longer writes, but guix archive does. The number 0 ends the stream. Numbers and strings are those of package framed.
package export

import (
	"bytes"
	"fmt"
	"io"

	"imprint/closure/nar"
	"imprint/internal/framed"
	"imprint/internal/tree"
)

// An Item is a store item in a stream. Paths are as in the stream, unchecked.
type Item struct {
	Path       string
	References []string
	Deriver    string // "" for none
	Node       *tree.Node

	// Of an item that was read; not used by Add.
	Archive   tree.Blob // the archive
	Signature string    // by Guix; "" for none
	Signed    tree.Blob // what that is for: from the archive to the deriver
}

const (
	more  = 1
	magic = 0x4558494e // "NIXE"

	maxPath = 8 << 10 // bytes
	maxRefs = 1 << 20 // of one item
)

// Head is the number of bytes that [Begins] needs.
const Head = 32

// Begins reports whether a file that begins with these bytes is a stream with an item.
func Begins(head []byte) bool {
	return bytes.HasPrefix(head, framed.AppendString(framed.AppendNumber(nil, more), "nix-archive-1"))
}

// Read reads the stream in a blob. Contents of files are slices of the blob. attr is that of [nar.Index]. A damaged stream is a
// [*framed.FormatError].
func Read(b tree.Blob, attr func(tree.Kind, uint16) *tree.Attr) ([]Item, error) {
	from, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	r := framed.NewReader(from, b, 0)
	var items []Item
	for {
		n, err := r.Number()
		switch {
		case err != nil:
			return nil, err
		case n == 0 && r.Offset() < b.Size():
			return nil, r.Errorf("%d bytes follow the end of the stream", b.Size()-r.Offset())
		case n == 0:
			return items, nil
		case n != more:
			return nil, &framed.FormatError{Offset: r.Offset() - 8, Text: "no item begins here: this is not a stream of nix-store --export"}
		}
		item := Item{}
		start := r.Offset()
		node, size, err := nar.Index(from, b, start, attr)
		if err != nil {
			return nil, err
		}
		item.Node, item.Archive = node, tree.Slice(b, start, size)
		r = framed.NewReader(from, b, start+size)
		if err := item.registration(r); err != nil {
			return nil, err
		}
		end, err := item.signature(r)
		if err != nil {
			return nil, err
		}
		item.Signed = tree.Slice(b, start, end-start)
		items = append(items, item)
	}
}

// registration reads the fields after an archive.
func (i *Item) registration(r *framed.Reader) error {
	if n, err := r.Number(); err != nil {
		return err
	} else if n != magic {
		return r.Errorf("%#x where the magic number %#x is expected", n, uint64(magic))
	}
	var err error
	if i.Path, err = text(r); err != nil {
		return err
	}
	count, err := r.Number()
	if err != nil {
		return err
	}
	if count > maxRefs {
		return r.Errorf("%d references, more than %d", count, maxRefs)
	}
	for range count {
		ref, err := text(r)
		if err != nil {
			return err
		}
		i.References = append(i.References, ref)
	}
	i.Deriver, err = text(r)
	return err
}

// signature reads what ends an item, and returns the offset where that begins.
func (i *Item) signature(r *framed.Reader) (end int64, err error) {
	end = r.Offset()
	switch n, err := r.Number(); {
	case err != nil:
		return end, err
	case n == more:
		i.Signature, err = text(r)
		return end, err
	case n != 0:
		return end, &framed.FormatError{Offset: end, Text: fmt.Sprintf("%d where a signature or the end of an item is expected", n)}
	}
	return end, nil
}

func text(r *framed.Reader) (string, error) {
	b, err := r.String(maxPath)
	return string(b), err
}

// A Writer writes a stream.
type Writer struct{ w io.Writer }

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w} }

// Add writes an item, which must come after those that it refers to. content is that of [nar.Write].
func (w *Writer) Add(i Item, content func(w io.Writer, file *tree.Node) error) error {
	return w.AddArchive(i, func(to io.Writer) error {
		if err := nar.Write(to, i.Node, content); err != nil {
			return fmt.Errorf("export %s: %w", tree.Shown(i.Path), err)
		}
		return nil
	})
}

// AddArchive is Add for an item whose archive the caller writes.
func (w *Writer) AddArchive(i Item, archive func(to io.Writer) error) error {
	if _, err := w.w.Write(framed.AppendNumber(nil, more)); err != nil {
		return err
	}
	if err := archive(w.w); err != nil {
		return err
	}
	b := framed.AppendString(framed.AppendNumber(nil, magic), i.Path)
	b = framed.AppendNumber(b, uint64(len(i.References)))
	for _, ref := range i.References {
		b = framed.AppendString(b, ref)
	}
	b = framed.AppendNumber(framed.AppendString(b, i.Deriver), 0)
	_, err := w.w.Write(b)
	return err
}

// Close ends the stream. It does not close the underlying writer.
func (w *Writer) Close() error {
	_, err := w.w.Write(framed.AppendNumber(nil, 0))
	return err
}
