package resolve

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"

	"imprint/internal/tree"
)

// digestOf stands for a host file or tree in the identity of the image: a digest of names, attributes and contents.
func digestOf(in *host) string {
	if in.blob != nil {
		sum, _ := tree.PinOf(in.blob)
		return fileDigest + hex.EncodeToString(sum[:])
	}
	d := treeDigest{sha256.New()}
	for _, e := range in.entries {
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

// What the digests of files and of trees begin with.
const (
	fileDigest = "sha256:"
	dirDigest  = "tree:"
)

// short is the first half of a digest's digits, for the name of a file.
func (in *host) short() string {
	if in.blob != nil {
		return in.digest[len(fileDigest):][:32]
	}
	return in.digest[len(dirDigest):][:32]
}

// treeDigest hashes the fields of nodes, each with its length where that is open.
type treeDigest struct{ hash.Hash }

func (d treeDigest) text(s string) {
	d.number(uint64(len(s)))
	io.WriteString(d, s)
}

func (d treeDigest) number(n uint64) { d.Write(binary.LittleEndian.AppendUint64(nil, n)) }

// node hashes what a node is; a further name of a file by what that file is.
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
