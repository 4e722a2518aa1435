// Package partitiontest tests engines that make file systems: each makes the same trees, which the file system's own fsck checks, and which
// tools that share no code with the engine read back. [Run] is the suite.
//
// An [Engine] declares what its file system does not keep; the suite then expects it to leave that out, or to refuse it with the path.
package partitiontest

import (
	"context"
	"os"
	"slices"
	"testing"

	"imprint/internal/tree"
)

// Options are the options of a file system that the suite varies.
type Options struct {
	Size  int64 // bytes of the region; 0 is the smallest that the engine finds
	Free  int64 // bytes besides the tree
	Label string
	Epoch int64 // seconds since 1970
}

// A Plan is a file system that can be made.
type Plan interface {
	Size() int64 // bytes
	// Make fills [offset, offset+Size) of the file, which reads as zeros.
	Make(ctx context.Context, file string, offset int64) error
}

// A Feature is something that not every file system holds.
type Feature string

// The features.
const (
	Symlinks  Feature = "symlinks"
	HardLinks Feature = "hard links"
	NodeLinks Feature = "hard links of symlinks and special files" // without it each name has a node of its own
	Specials  Feature = "devices and fifos"
	Sockets   Feature = "sockets"
	Owners    Feature = "owners"
	Modes     Feature = "modes"
	LinkModes Feature = "modes of symlinks" // without it they have all permissions
	Xattrs    Feature = "extended attributes"
	ACLs      Feature = "access control lists"
	Times     Feature = "times" // without it they are not compared
	Nanos     Feature = "nanoseconds of times"
	LongNames Feature = "names of 255 bytes"
	Labels    Feature = "labels"
	Sizes     Feature = "a size that is given"
	Subdirs   Feature = "70,000 directories in one"
	LongDirs  Feature = "a directory of 2 MiB of names"
	FreeSpace Feature = "free space" // a read-only file system has none
)

// An Engine is an engine under test.
type Engine struct {
	// Plan plans the tree, or refuses it.
	Plan func(t *tree.Tree, o Options) (Plan, error)

	// TooSmall returns the number of bytes that the error for a region that is too small says are needed; ok is false for other errors.
	TooSmall func(error) (need int64, ok bool)

	// Grain is the unit of Size in bytes.
	Grain int64

	// Refuses and Drops are the features that the engine refuses, and those that it leaves out silently.
	Refuses, Drops []Feature

	// Seconds are the first and the last second since 1970 that a file can have as its time; 0 and 0 are those of ext4.
	Seconds [2]int64

	// Unread are seconds that Read does not distinguish from others.
	Unread []int64

	// Names reports whether the engine takes a name; nil is for every name that [tree.CheckName] accepts.
	Names func(name string) bool

	// Read reads the region back, and Check runs fsck over it: Ext4 and CheckExt4, FAT and CheckFAT, EROFS and CheckEROFS. [ISO9660] and
	// [Squashfs] have no check beyond being read.
	Read  func(t testing.TB, r Region) Snapshot
	Check func(t testing.TB, r Region)
}

// A Region is a part of a file with a file system: Size bytes at Offset.
type Region struct {
	File         string
	Offset, Size int64
}

// Slow reports whether the long tests are wanted, by IMPRINT_SLOW=1.
func Slow() bool { return os.Getenv("IMPRINT_SLOW") == "1" }

// defaults are the options of most cases.
var defaults = Options{Label: "PARTTEST", Epoch: 1_000_000_000}

// Run tests the engine.
func Run(t *testing.T, e Engine) {
	for _, c := range slices.Concat(cases, attributeCases) {
		t.Run(c.name, func(t *testing.T) { c.run(t, e) })
	}
	t.Run("random trees", func(t *testing.T) { testRandom(t, e) })
	t.Run("names", func(t *testing.T) { testNames(t, e) })
	t.Run("times", func(t *testing.T) { testTimes(t, e) })
	if !slices.Contains(e.Drops, Sizes) {
		t.Run("exact fit", func(t *testing.T) { testExactFit(t, e) })
		t.Run("larger than needed", func(t *testing.T) { testLarger(t, e) })
	}
	if !slices.Contains(e.Drops, FreeSpace) {
		t.Run("free space", func(t *testing.T) { testFree(t, e) })
	}
	t.Run("same bytes", func(t *testing.T) { testSameBytes(t, e) })
}

// run makes the tree of a case, or checks that the engine refuses it.
func (c testCase) run(t *testing.T, e Engine) {
	if c.slow && !Slow() {
		t.Skip("slow")
	}
	tr, path := c.tree(t)
	if slices.Contains(e.Refuses, c.needs) || slices.Contains(e.Refuses, c.also) {
		e.expectRefusal(t, tr, path)
		return
	}
	e.roundTrip(t, tr, defaults)
}
