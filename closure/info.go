// Package closure knows the stores of Nix: what store items are, what they refer to, where they are registered, and what a store inside
// an image needs so that the system started from it finds valid items that are safe from garbage collection.
package closure

import "imprint/closure/nar"

// Info is what a store has registered about an item.
type Info struct {
	Path       Path
	NARHash    nar.Digest // SHA-256 of the item's NAR
	NARSize    int64      // length of the NAR in bytes
	References []Path     // sorted, each once; the item itself is among them if it refers to itself
	Deriver    string     // store path of the derivation that built it, which need not be valid; or ""
	CA         string     // content address, as "fixed:r:sha256:…" in base32; or ""
	Sigs       []string   // each as "key:base64"
	Outputs    []Output   // of a derivation: what it builds, sorted by ID
}

// An Output is one output of a derivation. It need not be valid.
type Output struct {
	ID   string // "out", "dev"…
	Path Path
}
