package host

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"

	"imprint/internal/tree"
)

// digestOf returns the digest by which a host file or tree enters the identity of the image: of contents, and for a tree also
// of names and attributes.
func digestOf(in *Input) string {
	if in.Blob != nil {
		sum, _ := tree.PinOf(in.Blob)
		return fileDigest + hex.EncodeToString(sum[:])
	}
	d := treeDigest{sha256.New()}
	for _, e := range in.Entries {
		d.text(e.Path)
		for path, n := range tree.Walk("", e.Node) {
			d.node(path, n)
			if n.Kind() == tree.File {
				sum, _ := tree.PinOf(n.Blob())
				d.Write(sum[:])
			}
		}
	}
	return dirDigest + hex.EncodeToString(d.Sum(nil))
}

// Prefixes of the digests of files and trees.
const (
	fileDigest = "sha256:"
	dirDigest  = "tree:"
)

// Short returns the first half of the digest's digits, for a file name.
func (in *Input) Short() string {
	if in.Blob != nil {
		return in.Digest[len(fileDigest):][:32]
	}
	return in.Digest[len(dirDigest):][:32]
}

// treeDigest hashes the fields of nodes. Fields of variable length are preceded by their length, so that two different trees
// are never encoded as the same bytes.
type treeDigest struct{ hash.Hash }

func (d treeDigest) text(s string) {
	d.number(uint64(len(s)))
	io.WriteString(d, s)
}

// number hashes a number in 8 bytes, little-endian.
func (d treeDigest) number(n uint64) { d.Write(binary.LittleEndian.AppendUint64(nil, n)) }

// node hashes one node. A further name of a file is hashed like the file itself, so that hard links on the host make no
// difference.
func (d treeDigest) node(path string, n *tree.Node) {
	d.text(path)
	d.number(uint64(n.Kind()))
	n = n.Inode()
	d.text(n.Target())
	d.number(uint64(n.Device().Major)<<32 | uint64(n.Device().Minor))
	if a := n.Attr; a != nil {
		for _, v := range []uint64{uint64(a.Mode), uint64(a.UID), uint64(a.GID), uint64(a.Mtime.Sec), uint64(a.Mtime.Nsec)} {
			d.number(v)
		}
		for _, x := range a.Xattrs {
			d.text(x.Name)
			d.text(string(x.Value))
		}
	}
}
