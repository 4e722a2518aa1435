package mke2fs

import (
	"errors"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

var seed = repro.SeedOf("mke2fs")

func options(o partitiontest.Options) Options {
	return Options{Size: o.Size, Free: o.Free, Label: o.Label, Epoch: o.Epoch, UUID: seed.UUID("file system"), HashSeed: seed.UUID("hash seed")}
}

func TestConformance(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	partitiontest.Run(t, partitiontest.Engine{
		Plan: func(tr *tree.Tree, o partitiontest.Options) (partitiontest.Plan, error) { return New(tr, options(o)) },
		TooSmall: func(err error) (int64, bool) {
			var small *SizeError
			if !errors.As(err, &small) {
				return 0, false
			}
			return small.Need, true
		},
		Grain:   blockSize,
		Refuses: []partitiontest.Feature{partitiontest.Subdirs},
		Names:   func(name string) bool { return !strings.ContainsAny(name, "\n\r") },
		Read:    partitiontest.Ext4,
		Check:   partitiontest.CheckExt4,
	})
}
