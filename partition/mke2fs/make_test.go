package mke2fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"
)

func planOf(t *testing.T, nodes map[string]*tree.Node, o Options) *Plan {
	t.Helper()
	p, err := New(tightTree{"nodes", func(add func(string, *tree.Node)) {
		for path, n := range nodes {
			add(path, n)
		}
	}}.tree(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// makeIn makes the plan in a fresh directory, which must hold nothing but the disk file afterwards.
func makeIn(t *testing.T, ctx context.Context, p *Plan, name string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, name)
	newFile(t, file, p.Size())
	err := p.Make(ctx, file, 0)
	left, readErr := os.ReadDir(dir)
	if readErr != nil || len(left) != 1 {
		t.Errorf("left in the directory: %v, %v", left, readErr)
	}
	return file, err
}

func TestContentOfHostFiles(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	dir := t.TempDir()
	nodes := map[string]*tree.Node{}
	for i, name := range []string{"plain", "new\nline", `quo"te`, " space ", "?offset=3", strings.Repeat("n", 255)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o640); err != nil {
			t.Fatal(err)
		}
		nodes[fmt.Sprint("/file-", i)] = tree.NewFile("", store, onHost{path, int64(len(name))})
	}
	p := planOf(t, nodes, options(partitiontest.Options{Epoch: 1}))
	file, err := makeIn(t, t.Context(), p, "disk")
	if err != nil {
		t.Fatal(err)
	}
	got := partitiontest.Ext4(t, partitiontest.Region{File: file, Size: p.Size()})
	for path, n := range nodes {
		if e := got.Entries[path]; e.Size != n.Size() || e.Mode != store.Mode {
			t.Errorf("%s: %+v", path, e)
		}
	}
}

// Neither the caller's environment, umask and scratch directory nor the disk file's name reach the bytes.
func TestBytesDoNotDependOnTheCaller(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	p, err := New(partitiontest.RandomTree(t, 5), options(partitiontest.Options{Label: "l", Epoch: 1_700_000_000}))
	if err != nil {
		t.Fatal(err)
	}
	first, err := makeIn(t, t.Context(), p, "disk")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(config, []byte("[defaults]\n\tinode_size = 128\n\terrors = panic\n[options]\n\tindexed_dir_slack_percentage = 70\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"MKE2FS_CONFIG", "E2FSCK_CONFIG"} {
		t.Setenv(name, config)
	}
	for _, name := range []string{"E2FSPROGS_FAKE_TIME", "E2FSCK_TIME", "SOURCE_DATE_EPOCH", "MKE2FS_FIRST_META_BG"} {
		t.Setenv(name, "123456")
	}
	t.Setenv("TZ", "Asia/Tokyo")
	defer syscall.Umask(syscall.Umask(0))
	p.opts.Scratch = t.TempDir()
	second, err := makeIn(t, t.Context(), p, "what?offset=512")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(first)
	b, _ := os.ReadFile(second)
	if len(a) == 0 || !bytes.Equal(a, b) {
		t.Error("the bytes differ")
	}
}

// The bytes do not depend on the file system of the disk file either: the tools count in every copy of the superblock what they write to it.
func TestBytesDoNotDependOnTheFileSystem(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	p, err := New(partitiontest.RandomTree(t, 6), options(partitiontest.Options{Size: 300 << 20, Epoch: 1}))
	if err != nil {
		t.Fatal(err)
	}
	here, err := makeIn(t, t.Context(), p, "disk")
	if err != nil {
		t.Fatal(err)
	}
	want := partitiontest.Region{File: here, Size: p.Size()}
	for _, group := range p.layout.copyGroups() {
		if group > 0 {
			at := fmt.Sprint(group * p.layout.perGroup)
			if said := hosttest.Run(t, "dumpe2fs", "-h", "-o", "superblock="+at, "-o", "blocksize=4096", here); strings.Contains(said, "Lifetime writes") {
				t.Errorf("the copy in group %d counts writes:\n%s", group, said)
			}
		}
	}
	for _, mkfs := range []string{"mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"} {
		t.Run(mkfs, func(t *testing.T) {
			got := partitiontest.Region{File: filepath.Join(hosttest.Mounted(t, mkfs), "disk"), Size: p.Size()}
			newFile(t, got.File, got.Size)
			if err := p.Make(t.Context(), got.File, 0); err != nil {
				t.Fatal(err)
			}
			partitiontest.SameBytes(t, got, want)
		})
	}
}

// Every time of every inode that is in use is the epoch, but for mtimes.
func TestTimesAreTheEpoch(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	for _, epoch := range []int64{0, 1, -77, 1_700_000_000, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 33} {
		p := planOf(t, map[string]*tree.Node{"/d/f": tree.NewFile("", store, tree.Text("x")), "/s": tree.NewSymlink("", store, "x"),
			"/sock": tree.NewSpecial("", store, tree.Socket)}, options(partitiontest.Options{Epoch: epoch}))
		file, err := makeIn(t, t.Context(), p, "disk")
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("0x%08x:%08x", uint32(epoch), uint32((epoch-int64(int32(epoch)))>>32))
		for _, inode := range []string{"<2>", "<11>", "/d", "/d/f", "/s", "/sock"} {
			said := hosttest.Run(t, "debugfs", "-R", "stat "+inode, file)
			times := regexp.MustCompile(`(?m)^ *(atime|ctime|crtime): (\S+) `).FindAllStringSubmatch(said, -1)
			if len(times) != 3 {
				t.Fatalf("stat %s prints:\n%s", inode, said)
			}
			for _, m := range times {
				if m[2] != want {
					t.Errorf("epoch %d, %s: %s is %s, want %s", epoch, inode, m[1], m[2], want)
				}
			}
		}
	}
}

func TestDirectoriesAreIndexed(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	nodes := map[string]*tree.Node{"/few/a": tree.NewSymlink("", store, "x")}
	for i := range 400 {
		nodes[fmt.Sprintf("/many/%d-%s", i, strings.Repeat("n", 30))] = tree.NewSymlink("", store, "x")
	}
	file, err := makeIn(t, t.Context(), planOf(t, nodes, options(partitiontest.Options{})), "disk")
	if err != nil {
		t.Fatal(err)
	}
	if said := hosttest.Run(t, "debugfs", "-R", "htree_dump /many", file); !strings.Contains(said, "Root node dump") {
		t.Errorf("/many has no index:\n%.500s", said)
	}
}

// wrong is a blob whose content is not as long as its Size.
type wrong struct {
	tree.Blob
	size int64
}

func (w wrong) Size() int64 { return w.size }

func TestContentThatChanged(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string]tree.Blob{
		"it ends at byte 5 of 9":                                     wrong{tree.Text("12345"), 9},
		"it is longer than its 3 bytes":                              wrong{tree.Text("12345"), 3},
		path + " changed while it was read: it ends at byte 5 of 70": onHost{path, 70},
		"no such file or directory":                                  onHost{path + "-gone", 5},
	} {
		p := planOf(t, map[string]*tree.Node{"/some/file": tree.NewFile("", store, b)}, options(partitiontest.Options{}))
		_, err := makeIn(t, t.Context(), p, "disk")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "/some/file") {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

func TestToolsFail(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	f := map[string]*tree.Node{"/f": tree.NewFile("", store, tree.Text("x"))}
	p := planOf(t, f, options(partitiontest.Options{}))
	p.layout.inodes = 1 << 40
	var exit *hosttool.ExitError
	if _, err := makeIn(t, t.Context(), p, "disk"); !errors.As(err, &exit) || !strings.Contains(err.Error(), "run mke2fs -q") || exit.Stderr == "" {
		t.Errorf("got %v", err)
	}
	// More than what was planned for: debugfs says so and returns 0.
	p = planOf(t, f, options(partitiontest.Options{}))
	p.tree = tightTrees[1].tree(t)
	p.census, _ = survey(p.tree)
	if _, err := makeIn(t, t.Context(), p, "disk"); err == nil || !strings.Contains(err.Error(), "debugfs: /0/") {
		t.Errorf("got %v", err)
	}
}

func TestRegionMustBeThere(t *testing.T) {
	p := planOf(t, nil, options(partitiontest.Options{}))
	file := filepath.Join(t.TempDir(), "disk")
	if err := p.Make(t.Context(), file, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	newFile(t, file, p.Size())
	for _, offset := range []int64{512, -512, 7} {
		if err := p.Make(t.Context(), file, offset); err == nil || !strings.Contains(err.Error(), "no region") {
			t.Errorf("offset %d: got %v", offset, err)
		}
	}
}

// A full disk is an error that says so, whether a copy in the scratch directory or a tool meets its end.
func TestFullDisk(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	nodes := map[string]*tree.Node{}
	for i := range 100 {
		nodes[fmt.Sprintf("/%d", i)] = tree.NewFile("", store, tree.Text(strings.Repeat(fmt.Sprint(i), 100_000)))
	}
	p := planOf(t, nodes, options(partitiontest.Options{}))
	for _, room := range []int64{64 << 10, 1 << 20, 8 << 20, 20 << 20} {
		// XFS keeps nothing for root. It frees the blocks of a removed file some time later, so each case has a file system of its own.
		dir := hosttest.Mounted(t, "mkfs.xfs")
		disk := filepath.Join(dir, "disk")
		newFile(t, disk, p.Size())
		fillUp(t, filepath.Join(dir, "fill"), room)
		if err := p.Make(t.Context(), disk, 0); err == nil || !strings.Contains(strings.ToLower(err.Error()), "no space left on device") {
			t.Errorf("room for %d bytes: got %v", room, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

// fillUp writes a file that leaves room for so many bytes on its file system.
func fillUp(t *testing.T, file string, room int64) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Frsize-room); err != nil {
		t.Fatal(err)
	}
}

// A cancelled context ends the work at any point, and no file is left.
func TestCancel(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	nodes := map[string]*tree.Node{}
	for i := range 200 {
		nodes[fmt.Sprintf("/%d", i)] = tree.NewFile("", store, extent.Generated(1<<20, func(p []byte, _ int64) {
			if i == 100 {
				cancel()
			}
		}))
	}
	p := planOf(t, nodes, options(partitiontest.Options{}))
	if _, err := makeIn(t, ctx, p, "disk"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Contents go through the scratch directory a batch at a time.
func TestScratchIsBounded(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck")
	scratch, most := t.TempDir(), int64(0)
	nodes := map[string]*tree.Node{}
	for i := range 24 {
		nodes[fmt.Sprintf("/%d", i)] = tree.NewFile("", store, extent.Generated(8<<20, func(p []byte, off int64) {
			for i := range p {
				p[i] = 'x'
			}
			if off == 0 {
				most = max(most, sizeBelow(t, scratch))
			}
		}))
	}
	o := options(partitiontest.Options{})
	o.Scratch = scratch
	if _, err := makeIn(t, t.Context(), planOf(t, nodes, o), "disk"); err != nil {
		t.Fatal(err)
	}
	if most == 0 || most > 2*batchScratch+16<<20 {
		t.Errorf("%d bytes of scratch files at a time", most)
	}
	if left, _ := os.ReadDir(scratch); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func sizeBelow(t *testing.T, dir string) int64 {
	total := int64(0)
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return total
}
