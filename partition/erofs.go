package partition

import (
	"fmt"

	"imprint/partition/erofs"
)

// maxErofsLabel is the length of volume_name in bytes.
const maxErofsLabel = 16

var erofsFilesystem = Filesystem{
	Name: "erofs", Store: true, Owners: true, Inside: true,
	Refuses: map[string]string{
		"content": contentHint, "engine": "", "features": "", "free": "nothing is written to an EROFS",
	},
	CheckLabel: func(label string) error {
		if len(label) > maxErofsLabel {
			return fmt.Errorf("%q is %d bytes long, and EROFS holds %d", label, len(label), maxErofsLabel)
		}
		return nil
	},
	DefaultLabel: func(image, partition string) string { return labelOf(image, partition, maxErofsLabel) },
	CheckID:      CheckUUID,
	Carries:      erofs.Check,
	VolumeID:     specUUID,
	plan:         func(s Spec) (Maker, error) { return nil, fmt.Errorf("no EROFS yet") },
}
