package erofs

import (
	"errors"
	"math"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

func TestConformance(t *testing.T) {
	hosttest.Need(t, "fsck.erofs")
	partitiontest.Run(t, partitiontest.Engine{
		Plan: func(tr *tree.Tree, o partitiontest.Options) (partitiontest.Plan, error) {
			p, err := New(tr, Options{Size: o.Size, Label: o.Label, Epoch: o.Epoch, UUID: repro.SeedOf("erofs").UUID("uuid")})
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
		Grain:   blockSize,
		Drops:   []partitiontest.Feature{partitiontest.FreeSpace},
		Seconds: [2]int64{math.MinInt64, math.MaxInt64},
		Read:    partitiontest.EROFS,
		Check:   partitiontest.CheckEROFS,
	})
}
