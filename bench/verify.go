package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"imprint/closure/nar"
	"imprint/internal/hosttree"
)

// hashItems computes the NAR hash of every store item of a tree, with as many workers as there are processors: what every verification of
// them costs at least.
func hashItems(root string) error {
	items, err := filepath.Glob(filepath.Join(root, "nix/store/*"))
	if err != nil || len(items) == 0 {
		return fmt.Errorf("no store items in %s: %v", root, err)
	}
	var next atomic.Int64
	return inParallel(runtime.NumCPU(), func() error {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(items) {
				return nil
			}
			n, err := (&hosttree.Scanner{FilesOnly: true}).Read(items[i])
			if err != nil {
				return err
			}
			if _, _, err := nar.Hash(n); err != nil {
				return err
			}
		}
	})
}

// hash runs this program again for hashItems.
func (o options) hash(w workload, out string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(self, "hash", w.path("root")), emptyDisk(out)
}

// verify verifies the image of the first contender, which is built once, without its manifest: that would add a digest of all bytes.
func (o options) verify(w workload, out string) (*exec.Cmd, error) {
	image := filepath.Join(filepath.Dir(out), "verified.raw")
	if _, err := os.Stat(image); err != nil {
		build, err := o.imprint(disk, []string{"--no-manifest", "-o", image})(w, out)
		if err != nil {
			return nil, err
		}
		if said, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v\n%.2000s", err, said)
		}
	}
	return exec.Command(o.program, "verify", image), emptyDisk(out)
}

// emptyDisk makes the disk of a contender that makes none.
func emptyDisk(out string) error { return os.WriteFile(filepath.Join(out, "disk.raw"), nil, 0o644) }
