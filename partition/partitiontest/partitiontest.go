// Package partitiontest is what every engine that makes a file system has to pass: the same trees are made by each of them, checked by the
// file system's own fsck, and read back by tools that share no code with the engine.
//
// An engine says what its file system does not keep; the suite then expects it to leave that out, or to refuse it with the path.
package partitiontest

import (
	"context"
	"os"
	"slices"
	"testing"

	"imprint/internal/tree"
)

// Options are what the suite varies.
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
	NodeLinks Feature = "hard links of what is no file" // without it each name has a node of its own
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
	FreeSpace Feature = "free space" // there is none in a file system that is only read
)

// An Engine is what is tested.
type Engine struct {
	// Plan plans the tree, or refuses it.
	Plan func(t *tree.Tree, o Options) (Plan, error)

	// TooSmall takes apart the error for a region that is too small: how many bytes are needed.
	TooSmall func(error) (need int64, ok bool)

	// Grain is what Size counts in, in bytes.
	Grain int64

	// Refuses and Drops are the features that the engine refuses, and those that it leaves out without a word.
	Refuses, Drops []Feature

	// Seconds are the first and the last second since 1970 that a file can have as its time; 0 and 0 are those of ext4.
	Seconds [2]int64

	// Unread are seconds that Read cannot tell from others.
	Unread []int64

	// Names says whether a name of a file can be made; nil takes every one that tree.CheckName takes.
	Names func(name string) bool

	// Read reads the region back, and Check has fsck look at it: Ext4 and CheckExt4, FAT and CheckFAT, EROFS and CheckEROFS. ISO9660
	// and Squashfs have no other check than that they can be read.
	Read  func(t testing.TB, r Region) Snapshot
	Check func(t testing.TB, r Region)
}

// A Region is where a file system lies: Size bytes at Offset.
type Region struct {
	File         string
	Offset, Size int64
}

// Slow says whether the long tests are wanted.
func Slow() bool { return os.Getenv("IMPRINT_SLOW") == "1" }

// defaults are the options where a case says nothing.
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

// run makes the tree of a case, or sees it refused.
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
