package outline

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// A Hash is the NAR hash of an item: the SHA-256 of its archive.
type Hash = [sha256.Size]byte

// A Set is the outlines of items, by their hashes. The nil Set is empty. A Set that is not changed may be used by any number of goroutines.
type Set struct{ items map[Hash]string }

// NewSet returns an empty set.
func NewSet() *Set { return &Set{map[Hash]string{}} }

// Len returns the number of items.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.items)
}

// Add adds an item, whose contents have been compared with its hash. Errors are those of [Append].
func (s *Set) Add(h Hash, item *tree.Node) error {
	text, err := Append(nil, item)
	if err == nil {
		s.items[h] = string(text)
	}
	return err
}

// Has reports whether the set has an item.
func (s *Set) Has(h Hash) bool { return s != nil && s.items[h] != "" }

// Take adds an item of another set, if that has it.
func (s *Set) Take(h Hash, from *Set) {
	if from.Has(h) {
		s.items[h] = from.items[h]
	}
}

// Join adds all items of another set.
func (s *Set) Join(from *Set) { maps.Copy(s.items, from.items) }

// Item returns the item with a hash whose path on the host is given, without reading more than whether something of its kind is there. It
// returns nil if that is not so, or if the set does not have it.
func (s *Set) Item(h Hash, path string, attr AttrFunc) *tree.Node {
	if !s.Has(h) {
		return nil
	}
	n, err := Tree(s.items[h], path, attr)
	if err != nil {
		return nil
	}
	if kind, err := hosttree.KindAt(path); err != nil || kind != n.Kind() {
		return nil
	}
	return n
}

const version = "imprint outlines 1\n"

// Text returns the set: the version, then each item by the order of the hashes: its hash, the length of its outline in bytes, and that.
// The nil Set has none.
func (s *Set) Text() []byte {
	if s == nil {
		return nil
	}
	size := len(version)
	for h, text := range s.items {
		size += len(h) + binary.MaxVarintLen64 + len(text)
	}
	b := append(make([]byte, 0, size), version...)
	for _, h := range slices.SortedFunc(maps.Keys(s.items), func(a, b Hash) int { return bytes.Compare(a[:], b[:]) }) {
		b = append(b, h[:]...)
		b = append(binary.AppendUvarint(b, uint64(len(s.items[h]))), s.items[h]...)
	}
	return b
}

// Parse is the inverse of [Set.Text]. It does not look into outlines: one that is wrong is none.
func Parse(text []byte) (*Set, error) {
	rest, ok := strings.CutPrefix(string(text), version)
	if !ok {
		return nil, errForm
	}
	s, r := NewSet(), &reader{text: rest}
	for last := ""; r.text != ""; {
		h, err := r.bytes(sha256.Size)
		if err != nil || h <= last {
			return nil, errForm
		}
		item, err := r.string()
		if err != nil {
			return nil, err
		}
		s.items[Hash([]byte(h))], last = item, h
	}
	return s, nil
}
