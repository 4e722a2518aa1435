package ext4

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// The kernel can write to a file system of this package: it replays nothing, splits full leaves, allocates in groups whose bitmaps were never
// written, frees, and leaves a file system in which e2fsck finds nothing.
func TestKernelWrites(t *testing.T) {
	hosttest.NeedRoot(t)
	hosttest.Need(t, "mount", "e2fsck")
	for _, blockSize := range []int64{1024, 4096} {
		nodes := map[string]*tree.Node{
			"/many": tree.NewDir("", plain, manyFiles(2000)), "/holes": fragments(2000, blockSize), "/some": file(100_000),
			"/shared-1": tree.NewFile("", withXattrs("user.x", fmt.Sprintf("%0500d", 1)), tree.Text("1")),
			"/shared-2": tree.NewFile("", withXattrs("user.x", fmt.Sprintf("%0500d", 1)), tree.Text("2")),
		}
		o := testOptions()
		o.BlockSize, o.Free, o.FreeInodes = blockSize, 400<<20, 5000
		image := checked(t, plan(t, build(t, nodes), o))
		dir := t.TempDir()
		if out, err := exec.Command("mount", "-t", "ext4", "-o", "loop", image, dir).CombinedOutput(); err != nil {
			t.Skipf("mount: %v\n%s", err, out)
		}
		err := useMounted(dir)
		if e := unix.Unmount(dir, 0); e != nil {
			t.Fatal(e)
		}
		if err != nil {
			t.Error(err)
		}
		fsck(t, image)
	}
}

// useMounted adds, changes and removes files in a mounted file system.
func useMounted(dir string) error {
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(dir, "many", fmt.Sprintf("new-%d", i)), []byte("new"), 0o644); err != nil {
			return err
		}
	}
	for i := range 1000 {
		if err := os.Remove(filepath.Join(dir, "many", fmt.Sprintf("file-%d", 2*i))); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 300<<20), 0o644); err != nil {
		return err
	}
	if err := unix.Setxattr(filepath.Join(dir, "shared-1"), "user.x", []byte("short"), 0); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, "holes"))
}

// GRUB, which reads kernels from the image, has its own reader.
func TestGrubReads(t *testing.T) {
	hosttest.Need(t, "grub-fstest")
	nodes := map[string]*tree.Node{
		"/nix/store/many": tree.NewDir("", plain, manyFiles(2000)), "/nix/store/item/kernel": file(9_000_000), "/nix/store/item/initrd": fragments(700, 4096),
		"/boot/kernel": tree.NewSymlink("", plain, "/nix/store/item/kernel"), "/nix/store/many/that": file(10),
		"/boot/initrd": tree.NewSymlink("", plain, "/nix/store/../../././././././././././././././nix/store/item/initrd"),
	}
	tr := build(t, nodes)
	for _, features := range [][]string{nil, {"^metadata_csum", "^64bit"}} {
		o := testOptions()
		o.Features = features
		image := write(t, plan(t, tr, o))
		for path, content := range map[string]string{
			"/boot/kernel": "/nix/store/item/kernel", "/boot/initrd": "/nix/store/item/initrd", "/nix/store/many/that": "/nix/store/many/that",
		} {
			want := filepath.Join(t.TempDir(), "want")
			n := nodes[content]
			r, _ := n.Blob().Open()
			b := make([]byte, n.Size())
			if _, err := r.ReadAt(b, 0); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(want, b, 0o644); err != nil {
				t.Fatal(err)
			}
			if out := tool(t, "grub-fstest", image, "cmp", "(loop0)"+path, want); out != "" {
				t.Errorf("%s: %s", path, out)
			}
		}
	}
}
