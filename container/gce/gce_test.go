package gce

import (
	"hash/crc32"
	"testing"

	"imprint/internal/hosttest"

	"pgregory.net/rapid"
)

// The checksum of two parts is that of the whole.
func TestCombine(t *testing.T) {
	hosttest.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		got := combine(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), int64(len(b)))
		if want := crc32.ChecksumIEEE(append(a, b...)); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}
