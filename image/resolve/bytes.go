package resolve

import (
	"fmt"

	"imprint/image/description"
	"imprint/internal/compressed"
	"imprint/internal/tree"
	"imprint/partition"
)

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
