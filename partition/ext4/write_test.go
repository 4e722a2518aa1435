package ext4

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/hosttest"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"golang.org/x/sys/unix"
)

var plain = &tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: 1}}

// testOptions are options with fixed identifiers.
func testOptions() Options {
	seed := repro.SeedOf("ext4 test")
	return Options{UUID: seed.UUID("uuid"), HashSeed: seed.UUID("hash"), Label: "test", Epoch: 1_000_000_000}
}

type tb = partitiontest.TB

// build returns a tree of nodes, by their paths.
func build(t tb, nodes map[string]*tree.Node) *tree.Tree {
	t.Helper()
	return partitiontest.Build(t, plain, nodes)
}

// slow reports whether the long sweeps run too.
func slow() bool { return os.Getenv("IMPRINT_SLOW") == "1" }

func plan(t tb, tr *tree.Tree, o Options) *Plan {
	t.Helper()
	p, err := New(tr, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// write writes a plan into a new sparse file and returns its path.
func write(t testing.TB, p *Plan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	writeTo(t, p, path)
	return path
}

func writeTo(t tb, p *Plan, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(p.Size()); err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for e := range p.Extents(0) {
		if e.Off < end || e.Len <= 0 || e.End() > p.Size() {
			t.Fatalf("extent of %d bytes at %d after one that ends at %d, region of %d", e.Len, e.Off, end, p.Size())
		}
		end = e.End()
		copyExtent(t, f, e)
	}
}

// copyExtent writes an extent into a file, with pieces of odd sizes so that structures are read in parts too.
func copyExtent(t tb, f *os.File, e extent.Extent) {
	t.Helper()
	if _, ok := e.Blob.(zeros); ok {
		return
	}
	r, err := e.Blob.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	buf := bytes.Repeat([]byte{0xee}, int(min(e.Len, 1<<20+1000)))
	for at := int64(0); at < e.Len; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), e.Len-at)]
		if n, err := r.ReadAt(b, e.At+at); n < len(b) && !errors.Is(err, io.EOF) {
			t.Fatalf("read %d of %d bytes of an extent at %d: %v", n, len(b), e.Off, err)
		}
		if _, err := f.WriteAt(b, e.Off+at); err != nil {
			t.Fatal(err)
		}
	}
}

// fsck fails the test when e2fsck has anything to say about an image.
func fsck(t tb, path string) {
	t.Helper()
	out, err := exec.Command("e2fsck", "-fn", path).CombinedOutput()
	var said []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "Pass ") && !strings.HasPrefix(line, "e2fsck ") && !strings.Contains(line, "non-contiguous)") {
			said = append(said, line)
		}
	}
	if err != nil || len(said) > 0 {
		t.Fatalf("e2fsck -fn: %v\n%.4000s", err, out)
	}
}

// checked writes a plan and has it checked.
func checked(t testing.TB, p *Plan) string {
	t.Helper()
	hosttest.Need(t, "e2fsck")
	path := write(t, p)
	fsck(t, path)
	return path
}

// debugfs returns what a debugfs command says about an image.
func debugfs(t testing.TB, image, command string) string {
	t.Helper()
	hosttest.Need(t, "debugfs")
	out, err := exec.Command("debugfs", "-R", command, image).Output()
	if err != nil {
		t.Fatalf("debugfs %q: %v", command, err)
	}
	return string(out)
}

// mounted mounts an image read-only where that is possible, and gives the directory.
func mounted(t testing.TB, image string) string {
	t.Helper()
	hosttest.NeedRoot(t)
	hosttest.Need(t, "mount", "umount")
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "ext4", "-o", "loop,ro,noload", image, dir).CombinedOutput(); err != nil {
		if loops, _ := filepath.Glob("/dev/loop-control"); len(loops) == 0 {
			t.Skipf("no loop devices: %s", out)
		}
		t.Fatalf("mount: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		// Detached, since a tool that another test starts may for a moment have a file of it open.
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// tool runs a host tool and gives its output.
func tool(t tb, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
