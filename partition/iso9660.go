package partition

import (
	"fmt"
	"regexp"

	"imprint/internal/diag"
)

// maxVolumeID is the length of a volume identifier in bytes (ECMA-119, 8.4.7).
const maxVolumeID = 32

var volumeIDForm = regexp.MustCompile(`^[A-Z0-9_]{1,32}$`)

var iso9660Filesystem = Filesystem{
	Name: "iso9660", Store: true, Owners: true, WholeDisk: true,
	Refuses: map[string]string{
		"type": "it is the image itself", "partuuid": "an ISO is found by ${iso.uuid}", "uuid": "it is derived, and is ${iso.uuid}",
		"size": "an ISO is as large as its content", "min-size": "an ISO is as large as its content",
		"free":   "an ISO is as large as its content, and nothing is written to it",
		"offset": "an ISO begins with its tree", "align": "an ISO begins with its tree", "flags": "", "content": contentHint, "engine": "", "features": "",
	},
	CheckLabel: func(label string) error {
		if !volumeIDForm.MatchString(label) {
			return diag.Mistake{
				Text: fmt.Sprintf("%q is not fit for the ID of an ISO volume", label),
				Hint: fmt.Sprintf("up to %d of A-Z 0-9 _, as in %q", maxVolumeID, volumeIDOf(label)),
			}
		}
		return nil
	},
	DefaultLabel: func(image, _ string) string { return volumeIDOf(image) },
	plan:         func(s Spec) (Maker, error) { return nil, fmt.Errorf("no ISO yet") },
}

// volumeIDOf makes a name one that every reader of ISO 9660 takes for the ID of a volume: d-characters (ECMA-119, 8.4.7).
func volumeIDOf(name string) string {
	id := upper(name, "")
	return id[:min(len(id), maxVolumeID)]
}
