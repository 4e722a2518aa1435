package ext4

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"github.com/google/go-cmp/cmp"
)

// sourceDir returns a directory of the host with files of many shapes.
func sourceDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, size int) {
		path := filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, []byte(strings.Repeat(name, size/len(name)+1)[:size]), 0o640))
	}
	for _, size := range []int{0, 1, 59, 60, 61, 100, 150, 200, 1023, 1024, 4095, 4096, 4097, 40_000, 900_000} {
		put(fmt.Sprintf("files/%d", size), size)
	}
	for i := range 700 {
		put(fmt.Sprintf("many/a name that takes some space é %d", i), i%3)
	}
	for _, n := range []int{1, 59, 60, 61, 200} {
		must(os.Symlink(strings.Repeat("t/", n)[:n], filepath.Join(dir, fmt.Sprint("link-", n))))
	}
	must(os.Link(filepath.Join(dir, "files/4097"), filepath.Join(dir, "a-name")))
	must(os.Link(filepath.Join(dir, "files/4097"), filepath.Join(dir, "z-name")))
	must(os.MkdirAll(filepath.Join(dir, "deep/er/empty"), 0o711))
	must(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	f, err := os.Create(filepath.Join(dir, "sparse"))
	must(err)
	for _, at := range []int64{0, 1 << 20, 5 << 20, 5<<20 + 8192, 9 << 20} {
		_, err = f.WriteAt([]byte("data"), at)
		must(err)
	}
	must(f.Close())
	must(os.Chtimes(filepath.Join(dir, "fifo"), time.Unix(1<<30+7, 0), time.Unix(1<<30+7, 0)))
	return dir
}

// describeDir lists a directory of the host as describeRead does a tree.
func describeDir(t *testing.T, dir string) (lines []string) {
	t.Helper()
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		raw := st.Sys().(*syscall.Stat_t)
		if first[raw.Ino] == "" {
			first[raw.Ino] = name
		}
		content := ""
		switch {
		case st.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = fmt.Sprintf("%x", sha256.Sum256(b))
		case st.Mode().Type() == fs.ModeSymlink:
			content, err = os.Readlink(path)
		}
		lines = append(lines, fmt.Sprintf("%q is %q %o %d %s", name, first[raw.Ino], raw.Mode, raw.Mtim.Sec, content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines[1:] // without the root, whose time mke2fs changes
}

func describeRead(t *testing.T, tr *tree.Tree) (lines []string) {
	t.Helper()
	first := map[*tree.Node]string{}
	for path, n := range tr.Walk() {
		if n = n.Inode(); path == "/lost+found" {
			continue
		}
		if first[n] == "" {
			first[n] = path
		}
		content := n.Target()
		if n.Kind() == tree.File {
			content = digestOf(t, n.Blob())
		}
		lines = append(lines, fmt.Sprintf("%q is %q %o %d %s", path, first[n], modeTypes[n.Kind()]|n.Attr.Mode, n.Attr.Mtime.Sec, content))
	}
	slices.Sort(lines)
	return lines[1:]
}

func readImage(t testing.TB, path string) *Volume {
	t.Helper()
	v, err := Read(partitiontest.Opened(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Images that mke2fs makes of a directory are read as the directory is, and have no faults, even after e2fsck has indexed their directories.
func TestReadMke2fs(t *testing.T) {
	hosttest.Need(t, "mke2fs", "e2fsck", "debugfs")
	dir := sourceDir(t)
	want := describeDir(t, dir)
	for _, args := range []string{
		"-t ext2", "-t ext2 -b 1024", "-t ext2 -r 0 -O none -I 128", "-t ext3", "-t ext3 -b 1024 -I 128", "-t ext4", "-t ext4 -b 1024", "-t ext4 -b 2048",
		"-t ext4 -b 65536", "-t ext4 -I 128", "-t ext4 -I 1024", "-t ext4 -O inline_data", "-t ext4 -O inline_data -I 512 -b 1024",
		"-t ext4 -O meta_bg,^resize_inode", "-t ext4 -b 1024 -O meta_bg,^resize_inode,^metadata_csum", "-t ext4 -O ^extent,^64bit",
		"-t ext4 -O ^metadata_csum,uninit_bg", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^64bit", "-t ext4 -O ^metadata_csum", "-t ext4 -O metadata_csum_seed",
		"-t ext4 -O sparse_super2,^resize_inode -b 1024", "-t ext4 -O ^sparse_super,^resize_inode -b 1024", "-t ext4 -O bigalloc -C 16384", "-t ext4 -O bigalloc -C 65536 -b 1024",
		"-t ext4 -O large_dir", "-t ext4 -O ea_inode", "-t ext4 -O quota", "-t ext4 -O quota,project -I 256", "-t ext4 -O casefold", "-t ext4 -O encrypt",
		"-t ext4 -O mmp", "-t ext4 -O orphan_file", "-t ext4 -O orphan_file,^metadata_csum -b 1024", "-t ext4 -O verity", "-t ext4 -O fast_commit", "-t ext4 -O ^has_journal",
		"-t ext4 -O ^flex_bg", "-t ext4 -O ^filetype", "-t ext4 -O ^dir_nlink,^extra_isize,^huge_file", "-t ext4 -g 1024 -b 1024", "-t ext4 -N 50000",
		"-t ext4 -E packed_meta_blocks=1", "-t ext4 -O ^resize_inode -G 4", "-t ext4 -E lazy_itable_init=1", "-t ext4 -E hash_seed=00000000-0000-0000-0000-000000000000",
	} {
		t.Run(args, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			tool(t, "mke2fs", append(strings.Fields(args), "-q", "-F", "-L", "name", "-d", dir, image, "80M")...)
			for _, state := range []string{"made", "indexed"} {
				v := readImage(t, image)
				if d := cmp.Diff(want, describeRead(t, v.Tree)); d != "" {
					t.Fatalf("%s: -source +read:\n%.4000s", state, d)
				}
				if v.Label != "name" || v.NeedsRecovery {
					t.Errorf("%+v", v.Summary)
				}
				if found := faults(v); found != nil {
					t.Errorf("%s: %.3000s", state, strings.Join(found, "\n"))
				}
				runFsck(image, "-fyD")
			}
		})
	}
}
