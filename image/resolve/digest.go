package resolve

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"imprint/image/description"
	"imprint/internal/compressed"
	"imprint/partition"

	"imprint/internal/tree"
)

// digestOf returns the digest by which a host file or tree enters the identity of the image: of contents, and for a tree also
// of names and attributes.
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

// Prefixes of the digests of files and trees.
const (
	fileDigest = "sha256:"
	dirDigest  = "tree:"
)

// short returns the first half of the digest's digits, for a file name.
func (in *host) short() string {
	if in.blob != nil {
		return in.digest[len(fileDigest):][:32]
	}
	return in.digest[len(dirDigest):][:32]
}

// treeDigest hashes the fields of nodes. Fields of variable length are preceded by their length, so that two different trees
// cannot give the same bytes.
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

// checkBytes checks the first bytes of files that are copied to the disk as they are. A compressed disk image or firmware
// there is almost always a mistake.
func (h *hostReader) checkBytes() error {
	for _, p := range h.d.Partition.Items {
		if err := h.checkContent(p); err != nil {
			return err
		}
	}
	for _, raw := range h.d.Raw.Items {
		name, _, err := h.beginning(raw.Source)
		if err != nil {
			return err
		}
		if name != "" {
			h.refuseCompressed(raw.Source, name)
		}
	}
	return nil
}

// checkContent checks the content of a partition against its type. What a partition of an unknown type holds, only its author
// knows.
func (h *hostReader) checkContent(p description.Partition) error {
	name, head, err := h.beginning(p.Content)
	is := partition.PurposeOf(p.Type.V)
	switch {
	case err != nil || head == nil:
		return err
	case name != "" && !partition.IsForeign(p.Type.V):
		h.refuseCompressed(p.Content, name)
	case name != "":
		h.warn(p.Content.Key, fmt.Sprintf("%s is compressed with %s and will be copied as it is", p.Content.V, name), "unpack it first, unless this is intended")
	case is != nil && !is.Begins(head):
		h.warn(p.Content.Key, fmt.Sprintf("%s does not look like %s, which a partition of type %q holds", p.Content.V, is.Holds, p.Type.V),
			"name a file made by "+is.From)
	}
	return nil
}

// beginning returns the first bytes of the file that a key names, and the program that has compressed it, or "".
func (h *hostReader) beginning(source description.Text) (compressedBy string, head []byte, err error) {
	in := h.hosts[source.Key]
	if in == nil {
		return "", nil, nil
	}
	head, err = tree.ReadHead(in.blob, partition.PurposeHead)
	return compressed.By(head), head, err
}

// refuseCompressed reports compressed content, with the command that unpacks it.
func (h *hostReader) refuseCompressed(source description.Text, name string) {
	h.problems = append(h.problems, source.Key.Problem(fmt.Sprintf("%s is compressed with %s, and nothing will unpack it", source.V, name),
		fmt.Sprintf("unpack it first (%s) and name the result", compressed.Unpack(name))))
}
