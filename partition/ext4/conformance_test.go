package ext4

import (
	"errors"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

func TestConformance(t *testing.T) {
	hosttest.Need(t, "debugfs", "e2fsck")
	seed := repro.SeedOf("ext4")
	partitiontest.Run(t, partitiontest.Engine{
		Plan: func(tr *tree.Tree, o partitiontest.Options) (partitiontest.Plan, error) {
			p, err := New(tr, Options{Size: o.Size, Free: o.Free, Label: o.Label, Epoch: o.Epoch, UUID: seed.UUID("uuid"), HashSeed: seed.UUID("hash")})
			if err != nil {
				return nil, err
			}
			return partitiontest.FromExtents(p), nil
		},
		TooSmall: func(err error) (int64, bool) {
			var small *TooSmallError
			if !errors.As(err, &small) {
				return 0, false
			}
			return small.Needed, true
		},
		Grain: 4096,
		Read:  partitiontest.Ext4,
		Check: partitiontest.CheckExt4,
	})
}
