// Package address finds the content address of a store item: for some items the digest in the path follows from the contents and the
// references alone, which proves them without a signature (store-api.cc, makeStorePath).
package address

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"imprint/closure/nar"
)

// An Item holds the values from which the path of an item may be computed.
type Item struct {
	Path       string   // such as "/nix/store/…-name"
	References []string // whole paths, in any order
	NARHash    nar.Digest
	File       *nar.Digest // SHA-256 of an item that is one file, not executable; nil for others
}

// Of returns the content address from which the path of an item follows, in the form of databases, such as "fixed:r:sha256:…". It returns ""
// if there is none, as for outputs of most derivations. It does not find addresses by hashes other than SHA-256, or of items that refer to
// themselves.
func Of(i Item) string {
	at := strings.LastIndexByte(i.Path, '/')
	if at < 0 || len(i.Path) < at+1+digits+1 || slices.Contains(i.References, i.Path) {
		return ""
	}
	p := pathOf{storeDir: i.Path[:at], digits: i.Path[at+1 : at+1+digits], name: i.Path[at+1+digits+1:]}
	refs := slices.Compact(slices.Sorted(slices.Values(i.References)))
	if p.is("source", refs, i.NARHash) {
		return "fixed:r:sha256:" + nar.EncodeBase32(i.NARHash[:])
	}
	if i.File == nil {
		return ""
	}
	if p.is("text", refs, *i.File) {
		return "text:sha256:" + nar.EncodeBase32(i.File[:])
	}
	flat := sha256.Sum256([]byte("fixed:out:sha256:" + hex.EncodeToString(i.File[:]) + ":"))
	if len(refs) == 0 && p.is("output:out", nil, flat) {
		return "fixed:sha256:" + nar.EncodeBase32(i.File[:])
	}
	return ""
}

// digits is the number of base32 digits in a path, and size the number of bytes that they encode.
const (
	digits = 32
	size   = 20
)

// A pathOf is a store path in parts.
type pathOf struct{ storeDir, digits, name string }

// is reports whether the digits are those of a path of the given kind, references and hash.
func (p pathOf) is(kind string, refs []string, hash nar.Digest) bool {
	kind = strings.Join(append([]string{kind}, refs...), ":")
	sum := sha256.Sum256(fmt.Appendf(nil, "%s:sha256:%x:%s:%s", kind, hash, p.storeDir, p.name))
	var folded [size]byte
	for i, b := range sum {
		folded[i%size] ^= b
	}
	return nar.EncodeBase32(folded[:]) == p.digits
}
