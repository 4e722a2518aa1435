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

// checkBytes looks at how the files begin whose bytes the disk takes over as they are.
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

// checkContent checks the bytes of a partition against its type. Of a type that has no name here, only its author knows what it holds.
func (h *hostReader) checkContent(p description.Partition) error {
	name, head, err := h.beginning(p.Content)
	is := partition.PurposeOf(p.Type.V)
	switch {
	case err != nil || head == nil:
		return err
	case name != "" && !partition.IsForeign(p.Type.V):
		h.refuseCompressed(p.Content, name)
	case name != "":
		h.warn(p.Content.Key, fmt.Sprintf("%s is compressed with %s, and its bytes are taken as they are", p.Content.V, name), "unpack it first, unless that is meant")
	case is != nil && !is.Begins(head):
		h.warn(p.Content.Key, fmt.Sprintf("%s does not look like %s, as a partition of type %q holds", p.Content.V, is.Holds, p.Type.V),
			"name a file that "+is.From+" has made")
	}
	return nil
}

// beginning returns the first bytes of the file that a key names, and what has compressed it, "" for nothing.
func (h *hostReader) beginning(source description.Text) (compressedBy string, head []byte, err error) {
	in := h.hosts[source.Key]
	if in == nil {
		return "", nil, nil
	}
	head, err = tree.ReadHead(in.blob, partition.PurposeHead)
	return compressed.By(head), head, err
}

func (h *hostReader) refuseCompressed(source description.Text, name string) {
	h.problems = append(h.problems, source.Key.Problem(fmt.Sprintf("%s is compressed with %s, and nothing unpacks it in the image", source.V, name),
		fmt.Sprintf("unpack it first (%s) and name the result", compressed.Unpack(name))))
}
