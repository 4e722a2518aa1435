package host

import (
	"fmt"

	"imprint/image/description"
	"imprint/internal/compressed"
	"imprint/internal/diskformat"
	"imprint/internal/tree"
	"imprint/partition"
)

// checkBytes checks the first bytes of files that are copied to the disk as they are. A compressed disk image or firmware
// there is almost always a mistake.
func (h *reading) checkBytes(d *description.Image) error {
	for _, p := range d.Partition.Items {
		if err := h.checkFormat(p.Content); err != nil {
			return err
		}
		if err := h.checkContent(p); err != nil {
			return err
		}
	}
	for _, raw := range d.Raw.Items {
		if err := h.checkFormat(raw.Source); err != nil {
			return err
		}
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

// checkFormat refuses a disk image in a format of virtual machines: nothing would convert it.
func (h *reading) checkFormat(source description.Text) error {
	in := h.inputs[source.Key]
	if in == nil {
		return nil
	}
	f, ok, err := diskformat.Of(in.Blob)
	if ok {
		h.problems = append(h.problems, source.Key.Problem(fmt.Sprintf("%s is a %s disk image, whose bytes are not those of the disk", source.V, f.Name),
			fmt.Sprintf("convert it first (qemu-img convert -f %s -O raw FILE FILE.raw) and name the result", f.QEMU)))
	}
	return err
}

// checkContent checks the content of a partition against its type. Any content is right for a type that is not known.
func (h *reading) checkContent(p description.Partition) error {
	name, head, err := h.beginning(p.Content)
	is := partition.PurposeOf(p.Type.V)
	switch {
	case err != nil || head == nil:
		return err
	case name != "" && !partition.IsForeign(p.Type.V):
		h.refuseCompressed(p.Content, name)
	case name != "":
		h.Warn(p.Content.Key, fmt.Sprintf("%s is compressed with %s and will be copied as it is", p.Content.V, name), "unpack it first, unless this is intended")
	case is != nil && !is.Begins(head):
		h.Warn(p.Content.Key, fmt.Sprintf("%s does not look like %s, which a partition of type %q holds", p.Content.V, is.Holds, p.Type.V),
			"name a file made by "+is.From)
	}
	return nil
}

// beginning returns the first bytes of the file that a key names, and the program that has compressed it, or "".
func (h *reading) beginning(source description.Text) (compressedBy string, head []byte, err error) {
	in := h.inputs[source.Key]
	if in == nil {
		return "", nil, nil
	}
	head, err = tree.ReadHead(in.Blob, partition.PurposeHead)
	return compressed.By(head), head, err
}

// refuseCompressed reports compressed content, with the command that unpacks it.
func (h *reading) refuseCompressed(source description.Text, name string) {
	h.problems = append(h.problems, source.Key.Problem(fmt.Sprintf("%s is compressed with %s, and nothing will unpack it", source.V, name),
		fmt.Sprintf("unpack it first (%s) and name the result", compressed.Unpack(name))))
}
