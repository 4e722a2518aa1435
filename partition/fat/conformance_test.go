package fat_test

import (
	"errors"
	"regexp"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/fat"
	"imprint/partition/partitiontest"
)

// TestConformance tests the engine without the names that FAT does not allow. They are written down a second time here, from the
// specification, so that a mistake in the code is found.
func TestConformance(t *testing.T) {
	hosttest.Need(t, "mdir", "mcopy", "mlabel", "fsck.fat")
	partitiontest.Run(t, partitiontest.Engine{
		Plan: func(tr *tree.Tree, o partitiontest.Options) (partitiontest.Plan, error) {
			p, err := fat.New(tr, fat.Options{Size: o.Size, Free: o.Free, Label: o.Label, Epoch: o.Epoch, SectorSize: 512, Serial: 0x12345678})
			if err != nil {
				return nil, err
			}
			return partitiontest.FromExtents(p), nil
		},
		TooSmall: func(err error) (int64, bool) {
			var small *fat.SizeError
			if !errors.As(err, &small) {
				return 0, false
			}
			return small.Need, true
		},
		Grain:   512,
		Refuses: []partitiontest.Feature{partitiontest.Symlinks, partitiontest.Specials, partitiontest.Sockets, partitiontest.Subdirs, partitiontest.LongDirs, partitiontest.Xattrs},
		Drops:   []partitiontest.Feature{partitiontest.HardLinks, partitiontest.Owners, partitiontest.Modes, partitiontest.Times},
		Names:   regexp.MustCompile(`^[^\x00-\x1f"*/:<>?\\|\x{fffd}]*[^\x00-\x1f"*/:<>?\\|\x{fffd}. ]$`).MatchString,
		Read:    partitiontest.FAT,
		Check:   partitiontest.CheckFAT,
	})
}
