package partition

import (
	"fmt"
	"io"

	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/swap"
)

var swapFilesystem = Filesystem{
	Name: "swap", Swap: true, MountType: "swap",
	Refuses: map[string]string{
		"content": contentHint, "engine": "", "features": "", "free": "", "closures": "", "dir": "", "file": "", "link": "", "tree": "", "attr": "",
		"volatile": "", "fstab": "it belongs in the root file system", "mount": "swap space is not mounted anywhere",
	},
	CheckLabel: func(label string) error {
		if len(label) > swap.MaxLabel {
			return fmt.Errorf("%q is %d bytes long, but swap space holds %d", label, len(label), swap.MaxLabel)
		}
		return nil
	},
	DefaultLabel: func(image, partition string) string { return labelOf(image, partition, swap.MaxLabel) },
	CheckID:      CheckUUID,
	VolumeID:     specUUID,
	plan:         newSwap,
	probe:        func(head []byte) bool { return swap.PageSize(head) != 0 },
	open: func(r io.ReaderAt, size int64, _ []string) (*Volume, error) {
		v, err := swap.Read(r, size)
		if err != nil {
			return nil, err
		}
		empty, err := tree.NewBuilder(&tree.Attr{Mode: 0o755}).Tree()
		if err != nil {
			return nil, err
		}
		return &Volume{
			Tree: empty, Label: v.Label, ID: v.UUID.String(), Size: v.Size, Stats: Stats{Exact: true, BlockSize: v.Page, FreeBytes: v.Size - v.Page},
			Check: v.Check, Explain: v.Explain,
		}, nil
	},
}

// swapMaker is swap space: its header, and room.
type swapMaker struct{ raw }

func newSwap(s Spec) (Maker, error) {
	if s.Size != 0 && s.Size < swap.MinSize {
		return nil, &DoesNotFit{Needed: swap.MinSize, Given: s.Size}
	}
	size := s.Size
	if size == 0 {
		size = units.Align(max(s.MinSize, swap.MinSize), swap.Page)
	}
	header, err := swap.Header(size, s.UUID, s.Label)
	if err != nil {
		return nil, err
	}
	return swapMaker{raw{tree.Text(string(header)), size}}, nil
}

// Stats implements Describer.
func (m swapMaker) Stats() Stats {
	return Stats{Exact: true, BlockSize: swap.Page, FreeBytes: m.size/swap.Page*swap.Page - swap.Page}
}
