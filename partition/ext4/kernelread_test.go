package ext4

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A file system that the kernel has used, with fragments and remains of deleted files, is read as the kernel shows it, and has no fault.
func TestReadWhatTheKernelWrote(t *testing.T) {
	hosttest.NeedRoot(t)
	hosttest.Need(t, "mke2fs", "mount", "umount", "e2fsck")
	for _, args := range []string{"-t ext4", "-t ext4 -b 1024 -O inline_data,^flex_bg", "-t ext4 -O ^extent,^64bit,^metadata_csum -b 1024", "-t ext4 -O ea_inode,orphan_file,metadata_csum_seed -b 2048", "-t ext3"} {
		t.Run(args, func(t *testing.T) {
			dir := t.TempDir()
			image, at := filepath.Join(dir, "image"), filepath.Join(dir, "at")
			tool(t, "mke2fs", append(strings.Fields(args), "-q", "-F", image, "64M")...)
			if err := os.Mkdir(at, 0o755); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("mount", "-t", "ext4", "-o", "loop", image, at).CombinedOutput(); err != nil {
				t.Skipf("mount: %v, %s", err, out)
			}
			defer exec.Command("umount", at).Run()
			use(t, at)
			want := describeDir(t, at)
			unix.Sync()
			b, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := Open(bytes.NewReader(b), int64(len(b))); err != nil || !v.NeedsRecovery {
				t.Errorf("while it is mounted: %v", err)
			}
			tool(t, "umount", at)
			v := readImage(t, image)
			for range 50 { // a program that another test starts may hold the mount for a moment
				if !v.NeedsRecovery {
					break
				}
				time.Sleep(100 * time.Millisecond)
				v = readImage(t, image)
			}
			got := describeRead(t, v.Tree)
			want = slices.DeleteFunc(want, func(s string) bool { return strings.HasPrefix(s, `"/lost+found"`) })
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-kernel +read:\n%.3000s", d)
			}
			if found := faults(v); found != nil {
				out, code := runFsck(image, "-fn")
				t.Errorf("%.3000s\ne2fsck (%d): %.1000s", strings.Join(found, "\n"), code, out)
			}
			if n := v.Tree.Find("/xattrs"); n == nil || len(n.Inode().Attr.Xattrs) < 4 || strings.Contains(args, "ea_inode") && len(n.Inode().Attr.Xattrs) != 5 {
				t.Errorf("attributes of /xattrs: %v", n)
			}
		})
	}
}

// use writes, links, renames and deletes files in a mounted file system.
func use(t *testing.T, dir string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	path := func(i int) string {
		return filepath.Join(dir, "d", fmt.Sprintf("a rather long name of a file, number %d", i))
	}
	must(os.MkdirAll(filepath.Join(dir, "d/sub/sub"), 0o755))
	for i := range 1500 {
		must(os.WriteFile(path(i), bytes.Repeat([]byte{byte(i)}, r.IntN(9000)), 0o644))
		if i%3 == 0 {
			_ = os.Remove(path(r.IntN(i + 1))) // it may be gone already
			must(os.WriteFile(path(r.IntN(i+1)), []byte("again"), 0o600))
		}
		if i%50 == 0 {
			must(os.Symlink(strings.Repeat("l", 1+r.IntN(100)), path(i)+" link"))
			must(os.MkdirAll(path(i)+" dir", 0o755))
		}
	}
	must(os.WriteFile(filepath.Join(dir, "xattrs"), []byte("x"), 0o644))
	for i := range 4 {
		must(unix.Lsetxattr(filepath.Join(dir, "xattrs"), fmt.Sprint("user.name", i), bytes.Repeat([]byte("v"), 50*i), 0))
	}
	must(os.WriteFile(filepath.Join(dir, "no-xattrs"), nil, 0o644))
	for i, name := range []string{"xattrs", "no-xattrs"} { // only with ea_inode is there room
		_ = unix.Lsetxattr(filepath.Join(dir, name), "user.large", bytes.Repeat([]byte(name), 3000), 0)
		_ = unix.Lremovexattr(filepath.Join(dir, name), []string{"user.none", "user.large"}[i])
	}
	must(os.Link(filepath.Join(dir, "xattrs"), filepath.Join(dir, "d/second name")))
	must(unix.Mknod(filepath.Join(dir, "device"), unix.S_IFCHR|0o600, int(unix.Mkdev(300, 70000))))
	f, err := os.Create(filepath.Join(dir, "fragments"))
	must(err)
	for range 400 {
		_, err = f.WriteAt([]byte("fragment"), r.Int64N(30<<20))
		must(err)
	}
	must(f.Truncate(40 << 20))
	must(f.Close())
	must(os.Rename(filepath.Join(dir, "d/sub"), filepath.Join(dir, "moved")))
}
