package iso9660

import (
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

// TestConformance leaves out what ISO 9660 with Rock Ridge, or Linux when it reads it, has no place for.
func TestConformance(t *testing.T) {
	hosttest.Need(t, "bsdtar", "isoinfo")
	partitiontest.Run(t, partitiontest.Engine{
		Plan: func(tr *tree.Tree, o partitiontest.Options) (partitiontest.Plan, error) {
			p, err := New(tr, Options{VolumeID: o.Label, Created: o.Epoch, Modified: o.Epoch, PartitionOffset: 16})
			if err != nil {
				return nil, err
			}
			return partitiontest.FromExtents(p), nil
		},
		Grain:   block,
		Refuses: []partitiontest.Feature{partitiontest.Xattrs, partitiontest.LongNames, partitiontest.LongDirs},
		Drops:   []partitiontest.Feature{partitiontest.FreeSpace, partitiontest.Sizes, partitiontest.Nanos, partitiontest.NodeLinks},
		Seconds: [2]int64{minTime, maxTime},
		Unread:  []int64{-1}, // what timegm returns for an error, and bsdtar takes for one
		Names: func(name string) bool {
			return len(name) <= maxName && (len(name) > 1 || name[0] > 1 && name[0] < 0x80)
		},
		Read:  partitiontest.ISO9660,
		Check: func(testing.TB, partitiontest.Region) {},
	})
}
