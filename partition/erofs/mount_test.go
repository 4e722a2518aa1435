package erofs

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/qemutest"
	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// guestLines lists a tree as testdata/guest does.
func guestLines(t *testing.T, tr *tree.Tree) []string {
	links, first := map[*tree.Node]int{}, map[*tree.Node]string{}
	paths := map[string]*tree.Node{}
	for path, n := range tr.Walk() {
		paths[path] = n.Inode()
		links[n.Inode()]++
		if old, ok := first[n.Inode()]; !ok || path < old {
			first[n.Inode()] = path
		}
	}
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		n := paths[path]
		a, nlink, size, text := n.Attr, links[n], n.Size(), n.Target()
		switch n.Kind() {
		case tree.Dir:
			nlink = 2
			for _, c := range n.Children() {
				if c.Kind() == tree.Dir {
					nlink++
				}
			}
		case tree.File:
			text = fmt.Sprintf("%x", sha256.Sum256(contentOf(t, n.Blob())))
		}
		var xattrs []string
		for _, x := range a.Xattrs {
			sum := sha256.Sum256(x.Value)
			xattrs = append(xattrs, fmt.Sprintf("%s=%d:%x", x.Name, len(x.Value), sum[:8]))
		}
		slices.Sort(xattrs)
		lines = append(lines, fmt.Sprintf("entry %q %o %d %d %d.%09d %d %d:%d %d %q %q %q", path, kindCodes[n.Kind()].mode|a.Mode, a.UID, a.GID, a.Mtime.Sec,
			a.Mtime.Nsec, size, n.Device().Major, n.Device().Minor, nlink, first[n], text, strings.Join(xattrs, " ")))
	}
	return lines
}

// guest builds the program that lists a file system.
func guest(t *testing.T) string {
	t.Helper()
	hosttest.Need(t, "go")
	path := filepath.Join(t.TempDir(), "guest")
	build := exec.Command("go", "build", "-o", path, "./testdata/guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// compareLines compares what a guest writes with a tree, but for paths where other file systems are mounted.
func compareLines(t *testing.T, tr *tree.Tree, said string, mounts ...string) {
	t.Helper()
	want := slices.DeleteFunc(guestLines(t, tr), func(line string) bool {
		return slices.ContainsFunc(mounts, func(path string) bool { return strings.HasPrefix(line, fmt.Sprintf("entry %q ", path)) })
	})
	var lines []string
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "entry ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("-planned +found:\n%.6000s", diff)
	}
}

// The kernel of this machine, where it may be asked.
func TestMounted(t *testing.T) {
	hosttest.NeedRoot(t)
	hosttest.Need(t, "mount", "fsck.erofs")
	program, tr := guest(t), everything(t)
	image, dir := checked(t, layOut(t, tr, testOptions())), t.TempDir()
	if out, err := exec.Command("mount", "-t", "erofs", "-o", "loop,ro", image, dir).CombinedOutput(); err != nil {
		t.Skipf("this machine cannot mount it: %s", out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	compareLines(t, tr, hosttest.Run(t, program, dir))
}

// Debian's kernel has the file system as its root, and starts the program that lists it from there.
func TestKernelBoots(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "fsck.erofs")
	parts, dir := demotest.Need(t), t.TempDir()
	if err := parts.Write(dir); err != nil {
		t.Fatal(err)
	}
	program, err := hosttree.File(guest(t))
	if err != nil {
		t.Fatal(err)
	}
	b := tree.NewBuilder(plain)
	nodes := []*tree.Node{everything(t).Root(), tree.NewDir("", plain, []*tree.Node{
		tree.NewFile("guest", plain, program), tree.NewDir("proc", plain, nil), tree.NewDir("sys", plain, nil), tree.NewDir("dev", plain, nil),
	})}
	for _, n := range nodes {
		if err := b.Add("/", n, ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	r := qemutest.Boot(t, qemutest.Options{
		Image: checked(t, layOut(t, tr, testOptions())), Mode: "bios", Marker: "^imprint: ready$", Bad: "imprint: FAIL|erofs: ", Timeout: 3 * time.Minute,
		Args: []string{"-kernel", filepath.Join(dir, "linux/bzImage"), "-initrd", filepath.Join(dir, "initrd/initrd"),
			"-append", "console=ttyS0 panic=-1 quiet ro init=/guest root=/dev/vda"},
	})
	t.Logf("%.1f seconds", r.Seconds)
	compareLines(t, tr, r.Serial, "/proc", "/sys", "/dev")
}
