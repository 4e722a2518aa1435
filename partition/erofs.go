package partition

import (
	"errors"
	"fmt"
	"io"

	"imprint/partition/erofs"
)

// maxErofsLabel is the length of volume_name in bytes, less a NUL: Linux 6.1 does not mount a label without one.
const maxErofsLabel = 15

var erofsFilesystem = Filesystem{
	Name: "erofs", Store: true, Owners: true, Inside: true, MountType: "erofs",
	Refuses: map[string]string{
		"content": contentHint, "engine": "", "features": "", "free": "an EROFS is read-only",
	},
	CheckLabel: func(label string) error {
		if len(label) > maxErofsLabel {
			return fmt.Errorf("%q is %d bytes long, but EROFS holds %d", label, len(label), maxErofsLabel)
		}
		return nil
	},
	DefaultLabel: func(image, partition string) string { return labelOf(image, partition, maxErofsLabel) },
	CheckID:      CheckUUID,
	Carries:      erofs.Check,
	VolumeID:     specUUID,
	plan:         newErofs,
	probe:        func(head []byte) bool { return has(head, 1024, "\xe2\xe1\xf5\xe0") },
	open: func(r io.ReaderAt, size int64, omit []string) (*Volume, error) {
		v, err := erofs.ReadPart(r, size, omit...)
		if err != nil {
			return nil, err
		}
		return &Volume{
			Tree: v.Tree, Label: v.Label, ID: v.UUID.String(), Size: v.Size, Stats: Stats{Exact: true, BlockSize: 4096, Inodes: v.Inodes},
			Check: v.Check, Explain: v.Explain,
		}, nil
	},
}

// erofsMaker adapts an EROFS to this package's interfaces.
type erofsMaker struct{ *erofs.Plan }

func newErofs(s Spec) (Maker, error) {
	p, err := erofs.New(s.Tree, erofs.Options{Size: s.Size, MinSize: s.MinSize, Label: s.Label, UUID: s.UUID, Epoch: s.Epoch})
	var small *erofs.TooSmallError
	if errors.As(err, &small) {
		return nil, &DoesNotFit{Needed: small.Needed, Given: small.Given}
	}
	if err != nil {
		return nil, err
	}
	return erofsMaker{p}, nil
}

// Stats implements Describer.
func (m erofsMaker) Stats() Stats {
	s := m.Summary()
	return Stats{Exact: true, BlockSize: s.BlockSize, Inodes: s.Inodes}
}
