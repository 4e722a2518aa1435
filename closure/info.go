// Package closure reads Nix stores and lays out the store inside an image: store items, their references, their registration as valid,
// and the GC roots that protect them in the booted system.
package closure

import "imprint/closure/nar"

// Info is what a store has registered about an item.
type Info struct {
	Path       Path
	NARHash    nar.Digest // SHA-256 of the item's NAR
	NARSize    int64      // length of the NAR in bytes
	References []Path     // sorted, each once; the item itself is among them if it refers to itself
	Deriver    string     // store path of the derivation that built it, which need not be valid; "" if unknown
	CA         string     // content address, such as "fixed:r:sha256:…" in base32; "" for none
	Sigs       []string   // each as "key:base64"
	Outputs    []Output   // of a derivation: what it builds, sorted by ID
}

// An Output is one output of a derivation. It need not be valid.
type Output struct {
	ID   string // "out", "dev"…
	Path Path
}
