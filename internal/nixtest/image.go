package nixtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"golang.org/x/sys/unix"
)

// A Region is a range of an image, in bytes.
type Region struct{ Offset, Length int64 }

// Partition returns the region of the partition of that name, as sfdisk reports it.
func Partition(t testing.TB, image, name string) Region {
	t.Helper()
	var disk struct {
		PartitionTable struct {
			SectorSize int64
			Partitions []struct {
				Name        string
				Start, Size int64 // sectors
			}
		}
	}
	table := hosttest.Run(t, "sfdisk", "--json", image)
	if err := json.Unmarshal([]byte(table), &disk); err != nil {
		t.Fatalf("sfdisk --json %s: %v\n%s", image, err, table)
	}
	for _, p := range disk.PartitionTable.Partitions {
		if p.Name == name {
			return Region{p.Start * disk.PartitionTable.SectorSize, p.Size * disk.PartitionTable.SectorSize}
		}
	}
	t.Fatalf("%s has no partition %q:\n%s", image, name, table)
	return Region{}
}

// A Tree is a copy of a file system of an image, below a directory of the host.
type Tree struct {
	Root    string
	Mounted bool // by the kernel, so that owners are right; false where a tool has extracted the files
}

// Extract checks the ext4 file system in a region of an image and returns its tree, which may be written to. As root it mounts a copy that
// is 64 MiB larger, otherwise debugfs extracts the files.
func Extract(t testing.TB, image string, r Region) Tree {
	t.Helper()
	dir := tempDir(t)
	copied := filepath.Join(dir, "root.ext4")
	hosttest.Run(t, "dd", "if="+image, "of="+copied, "bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none",
		fmt.Sprint("skip=", r.Offset), fmt.Sprint("count=", r.Length))
	if err := os.Truncate(copied, r.Length); err != nil {
		t.Fatal(err)
	}
	CheckExt4(t, copied)
	root := filepath.Join(dir, "tree")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 && mount(t, copied, root, r.Length) {
		return Tree{root, true}
	}
	hosttest.Run(t, "debugfs", "-R", "rdump / "+root, copied)
	return Tree{root, false}
}

// CheckExt4 runs e2fsck on a file system. It reads the output too, since e2fsck reports some damage with exit status 0.
func CheckExt4(t testing.TB, file string) {
	t.Helper()
	out := hosttest.Run(t, "e2fsck", "-fn", file)
	if strings.Contains(out, "Fix?") || strings.Contains(out, "WARNING") {
		t.Fatalf("e2fsck -fn %s:\n%s", file, out)
	}
}

// mount grows the file system, so that Nix has room for its logs, and mounts it. It reports false if the kernel refuses.
func mount(t testing.TB, file, dir string, size int64) bool {
	t.Helper()
	if err := os.Truncate(file, size+64<<20); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "e2fsck", "-fp", file)
	hosttest.Run(t, "resize2fs", file)
	if out, err := exec.Command("mount", "-o", "loop", file, dir).CombinedOutput(); err != nil {
		t.Logf("mount %s: %v: %s", file, err, out)
		return false
	}
	t.Cleanup(func() { hosttest.Run(t, "umount", dir) })
	return true
}

// Links returns the entries of the store's .links directory with their link counts.
func (tr Tree) Links(t testing.TB) map[string]uint64 {
	t.Helper()
	dir := filepath.Join(tr.Root, "nix/store/.links")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	links := map[string]uint64{}
	for _, e := range entries {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, e.Name()), &st); err != nil {
			t.Fatal(err)
		}
		links[e.Name()] = uint64(st.Nlink)
	}
	return links
}

// Optimise runs nix-store --optimise, which links equal files of the tree's store.
func (tr Tree) Optimise(t testing.TB) {
	t.Helper()
	newNix(t, tr.Root).must(t, "nix-store", "--optimise")
}

// ExtractISO extracts the tree of an ISO image with xorriso.
func ExtractISO(t testing.TB, image string) Tree {
	t.Helper()
	root := filepath.Join(tempDir(t), "tree")
	hosttest.Run(t, "xorriso", "-report_about", "SORRY", "-abort_on", "FAILURE", "-osirrox", "on:auto_chmod_off", "-indev", image, "-extract", "/", root)
	return Tree{root, false}
}

// ExtractSquashfs extracts the tree of a squashfs with unsquashfs.
func ExtractSquashfs(t testing.TB, file string) Tree {
	t.Helper()
	root := filepath.Join(tempDir(t), "tree")
	hosttest.Run(t, "unsquashfs", "-quiet", "-no-progress", "-d", root, file)
	return Tree{root, false}
}

// ExtractEROFS extracts the tree of an EROFS with fsck.erofs.
func ExtractEROFS(t testing.TB, file string) Tree {
	t.Helper()
	root := filepath.Join(tempDir(t), "tree")
	hosttest.Run(t, "fsck.erofs", "--extract="+root, file)
	return Tree{root, false}
}

// Dead returns the store paths of the tree that Nix would collect as garbage, sorted.
func (tr Tree) Dead(t testing.TB) []string {
	t.Helper()
	return slices.Sorted(slices.Values(lines(newNix(t, tr.Root).alone().must(t, "nix-store", "--gc", "--print-dead"))))
}
