// Package host reads what a description names on the host: files, directories and archives. Each becomes an [Input], a value
// whose contents are pinned: their digest is part of the image's identity, and when they are written, they must still be the same.
//
// Paths are resolved here and nowhere else: relative ones are relative to the description. Owner, times and extended attributes of
// host files are dropped; those in an archive are kept. Probable mistakes are reported where they are read: an image inside its own
// content, set-ID programs that would become root's, compressed files that nothing unpacks.
//
// Store items are not inputs: package closure reads those.
package host

import (
	"slices"

	"imprint/closure"
	"imprint/image/base"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/layer"
	"imprint/internal/tree"
)

// An Input is a file or tree on the host that the description names.
type Input struct {
	Blob    tree.Blob        // of a file, pinned; nil for a tree
	Entries []hosttree.Entry // of a tree: nodes at paths below the target
	Layers  []*layer.Layer   // of layers, the lowest first
	IsDir   bool             // a directory and not an archive: the attributes of its top do not count
	Base    *base.Base       // that the layers are of; nil for others
	Digest  string           // of the content, and of the names and attributes in a tree, with a prefix that says which

	Mentions []Mention // store paths found in small files
}

// Inputs maps the keys of the description to what they name on the host.
type Inputs map[diag.Key]*Input

// Clone returns the inputs with nodes of their own, for a second tree.
func (all Inputs) Clone() Inputs {
	cloned := make(Inputs, len(all))
	for key, in := range all {
		c := *in
		nodes := make([]*tree.Node, len(in.Entries))
		for i, e := range in.Entries {
			nodes[i] = e.Node
		}
		c.Entries = slices.Clone(in.Entries)
		for i, n := range tree.Clone(nodes) {
			c.Entries[i].Node = n
		}
		cloned[key] = &c
	}
	return cloned
}

// Digest returns the digest of what a key names on the host, or the text of a key that names nothing there.
func (all Inputs) Digest(key diag.Key, text string) string {
	if in := all[key]; in != nil {
		return in.Digest
	}
	return text
}

// A Mention is a store path found in a file.
type Mention struct {
	Path string // of the file in its tree; "" for a single file
	Item closure.Path
}
