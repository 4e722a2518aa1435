package tree

import "crypto/sha256"

// A Pin is the hash that the content of a blob must have when it is copied: that of a [Pinner].
type Pin = [sha256.Size]byte

// A PinnedBlob knows its [Pin]: it was read before, and other values depend on what was read.
type PinnedBlob interface {
	PartBlob
	Pin() Pin
}

// Pinned returns b with its pin. Two calls return different blobs.
func Pinned(b Blob, sum Pin) Blob {
	p := &pinned{b, sum}
	if s, ok := b.(SparseBlob); ok {
		return &pinnedSparse{p, s}
	}
	return p
}

// PinOf returns the pin of a blob that has one. A part of a pinned blob has none.
func PinOf(b Blob) (sum Pin, ok bool) {
	if p, is := b.(PinnedBlob); is {
		return p.Pin(), true
	}
	return Pin{}, false
}

type pinned struct {
	Blob
	sum Pin
}

// Pin implements PinnedBlob.
func (p *pinned) Pin() Pin { return p.sum }

// Within implements PartBlob.
func (p *pinned) Within() (Blob, int64) { return p.Blob, 0 }

type pinnedSparse struct {
	*pinned
	sparse SparseBlob
}

// Data implements SparseBlob.
func (p *pinnedSparse) Data() []Range { return p.sparse.Data() }
