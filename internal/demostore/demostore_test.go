package demostore_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
)

// The expected values are from Nix 2.8.
func TestStorePath(t *testing.T) {
	sum, err := hex.DecodeString("21180f159c3768b9e6c946c4b71bd40a229a86a05abccbf23c10c846e0dfef69")
	if err != nil {
		t.Fatal(err)
	}
	if got := demostore.Base32(sum); got != "0sggvzh4dj0h7krcpg2sl239l8hashdvgi26r7kbjs1pkhahy611" {
		t.Errorf("base32 gives %s", got)
	}
	if got := demostore.SourcePath(demostore.Nix, "busybox-static-bin", [32]byte(sum), nil); got != "/nix/store/w2avnha2xfw2iy8h9n2lp5vxkf4873zh-busybox-static-bin" {
		t.Errorf("the store path is %s", got)
	}
}

// A directory with an executable file and a symlink; the expected hash is from Nix.
func TestNARHash(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("hi"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	hash, size, err := demostore.HashNAR(dir)
	if err != nil || size != 512 || demostore.Base32(hash[:]) != "0qfkj5vlmh8bap49y7sxcgz85wr1vlhf2a0miibz2hx9isx0x4w9" {
		t.Errorf("NAR of %d bytes with hash %s, %v", size, demostore.Base32(hash[:]), err)
	}
}

// newStore makes a store that is removed at the end of the test.
func newStore(t *testing.T) (*demostore.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := demostore.Create(dir, demostore.Nix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := demostore.RemoveAll(filepath.Join(dir, "nix")); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

func text(s string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(s), 0o600) }
}

func TestEqualItemsAreOne(t *testing.T) {
	s, _ := newStore(t)
	for range 2 {
		if _, err := s.Add("a", nil, text("one")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Add("a", nil, text("two")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.Host(demostore.Nix))
	if err != nil || len(entries) != 2 || len(s.Items()) != 2 {
		t.Errorf("%d items, in the directory %v, %v", len(s.Items()), entries, err)
	}
}

func TestAddFailsCleanly(t *testing.T) {
	s, _ := newStore(t)
	if _, err := s.Add("a", nil, func(string) error { return fmt.Errorf("no") }); err == nil || err.Error() != "make a: no" {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(s.Host(demostore.Nix)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// Nix accepts the registration and finds every item intact.
func TestNixAgrees(t *testing.T) {
	hosttest.Need(t, "nix-store")
	s, dir := newStore(t)
	parts := demotest.Need(t)
	system, err := s.AddSystem(parts)
	if err != nil {
		t.Fatal(err)
	}
	nix := func(input string, args ...string) string {
		t.Helper()
		cmd := exec.Command("nix-store", args...)
		cmd.Stdin = strings.NewReader(input)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NIX_CONF_DIR=" + dir, "NIX_REMOTE=local?root=" + dir, "NIX_CONFIG=build-users-group =",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("nix-store %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	nix(s.Registration(), "--load-db")
	if out := nix("", "--verify", "--check-contents"); strings.Contains(out, "modified") {
		t.Error(out)
	}
	closure := strings.Fields(nix("", "--query", "--requisites", system.Path))
	if len(closure) != 4 || closure[3] != system.Path {
		t.Errorf("the closure is %q", closure)
	}
	// the store path that Nix itself computes for the same content
	ours, err := s.Add("same", nil, text("content"))
	if err != nil {
		t.Fatal(err)
	}
	same := filepath.Join(dir, "same")
	if err := text("content")(same); err != nil {
		t.Fatal(err)
	}
	if theirs := strings.TrimSpace(nix("", "--add", same)); theirs != ours.Path {
		t.Errorf("store path %s, Nix has %s", ours.Path, theirs)
	}
}

// The system finds its root file system by UUID and label (TestBootMatrix covers PARTUUID), and fails if there is none.
func TestSystemBoots(t *testing.T) {
	hosttest.Need(t, "mke2fs", "sfdisk")
	s, dir := newStore(t)
	system, err := s.AddSystem(demotest.Need(t))
	if err != nil {
		t.Fatal(err)
	}
	const partition, filesystem = "0c4d1c8b-9e0a-4f2b-8d3c-5a6b7c8d9e0f", "5b1f4e6a-2c3d-4e5f-8a9b-0c1d2e3f4a5b"
	image := rootDisk(t, dir, partition, filesystem)
	boot := func(root string) (qemutest.Result, error) {
		o := qemutest.Options{Image: image, Mode: "bios", Marker: "^imprint: ready$", Bad: "imprint: FAIL"}
		o.Args = []string{
			"-kernel", s.Host(readlink(t, s.Host(system.Path+"/kernel"))),
			"-initrd", s.Host(readlink(t, s.Host(system.Path+"/initrd"))),
			"-append", "console=ttyS0 panic=-1 quiet init=" + system.Path + "/init root=" + root,
		}
		return qemutest.Run(t.Context(), o)
	}
	hosttest.Need(t, "qemu-system-x86_64")
	for _, root := range []string{"UUID=" + filesystem, "PARTLABEL=root"} {
		t.Run(root, func(t *testing.T) {
			t.Parallel()
			r, err := boot(root)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.Serial, "hello from "+system.Path+"\n") || !strings.Contains(r.Serial, "root is /dev/vda1, ext4, rw") {
				t.Error(r.Serial)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		_, err := boot("PARTUUID=" + filesystem)
		if err == nil || !strings.Contains(err.Error(), "no root file system PARTUUID="+filesystem) {
			t.Errorf("error %v", err)
		}
	})
}

func readlink(t *testing.T, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// rootDisk makes a disk with one partition, which holds the store below dir.
func rootDisk(t *testing.T, dir, partition, filesystem string) string {
	t.Helper()
	for _, d := range []string{"dev", "proc", "sys"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(t.TempDir(), "disk, raw")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 66<<20); err != nil {
		t.Fatal(err)
	}
	table := exec.Command("sfdisk", "--quiet", image)
	table.Stdin = strings.NewReader("label: gpt\nstart=2048, size=131072, type=L, name=root, uuid=" + partition + "\n")
	if out, err := table.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	hosttest.Run(t, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "store", "-U", filesystem, "-d", dir, "-E", "offset=1048576", image, "64M")
	return image
}
