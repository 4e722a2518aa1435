package ext4

import (
	"testing"

	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

func BenchmarkNew(b *testing.B) {
	partitiontest.BenchmarkPlan(b, func(t *tree.Tree) (*Plan, error) { return New(t, testOptions()) })
}

func BenchmarkMetadata(b *testing.B) {
	partitiontest.BenchmarkMetadata(b, plan(b, partitiontest.StoreTree(b, 50_000), testOptions()))
}
