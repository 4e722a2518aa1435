package ext4

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// compareMounted compares everything that the kernel shows of a mounted image with the tree.
func compareMounted(t *testing.T, dir string, tr *tree.Tree) {
	t.Helper()
	want := map[string]bool{filepath.Join(dir, "lost+found"): true}
	inodes := map[int]uint64{}
	for path, n := range tr.Walk() {
		at := filepath.Join(dir, path)
		want[at] = true
		var st unix.Stat_t
		if err := unix.Lstat(at, &st); err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		to := n.Inode().ID()
		if ino, ok := inodes[to]; ok && ino != st.Ino {
			t.Errorf("%q has inode %d, its other name %d", path, st.Ino, ino)
		}
		inodes[to] = st.Ino
		compareStat(t, path, n.Inode(), &st)
		compareAttributes(t, at, n.Inode())
		compareContent(t, at, n.Inode())
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if !want[path] {
			t.Errorf("%q is in the image and not in the tree", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func compareStat(t *testing.T, path string, n *tree.Node, st *unix.Stat_t) {
	t.Helper()
	a := n.Attr
	if st.Mode != uint32(modeTypes[n.Kind()]|a.Mode) || st.Uid != a.UID || st.Gid != a.GID {
		t.Errorf("%q: mode %o, owner %d:%d; want %v %o, %d:%d", path, st.Mode, st.Uid, st.Gid, n.Kind(), a.Mode, a.UID, a.GID)
	}
	for _, ts := range []unix.Timespec{st.Mtim, st.Atim, st.Ctim} {
		if ts.Sec != a.Mtime.Sec || ts.Nsec != int64(a.Mtime.Nsec) {
			t.Errorf("%q: time %d.%09d; want %d.%09d", path, ts.Sec, ts.Nsec, a.Mtime.Sec, a.Mtime.Nsec)
		}
	}
	if n.Kind() == tree.File && st.Size != n.Size() {
		t.Errorf("%q: %d bytes; want %d", path, st.Size, n.Size())
	}
	if d := n.Device(); st.Rdev != unix.Mkdev(d.Major, d.Minor) {
		t.Errorf("%q: device %x; want %v", path, st.Rdev, d)
	}
}

func compareAttributes(t *testing.T, at string, n *tree.Node) {
	t.Helper()
	buf := make([]byte, 1<<16)
	size, err := unix.Llistxattr(at, buf)
	if err != nil {
		t.Fatalf("%q: %v", at, err)
	}
	names := strings.FieldsFunc(string(buf[:size]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	var want []string
	for _, x := range n.Attr.Xattrs {
		want = append(want, x.Name)
		size, err := unix.Lgetxattr(at, x.Name, buf)
		if err != nil || !bytes.Equal(buf[:size], x.Value) {
			t.Errorf("%q: attribute %s is %x (%v); want %x", at, x.Name, buf[:max(0, size)], err, x.Value)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q: attributes %q; want %q", at, names, want)
	}
}

func compareContent(t *testing.T, at string, n *tree.Node) {
	t.Helper()
	switch n.Kind() {
	case tree.Symlink:
		if got, err := os.Readlink(at); err != nil || got != n.Target() {
			t.Errorf("%q leads to %q (%v); want %q", at, got, err, n.Target())
		}
	case tree.File:
		got, err := os.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		want, err := n.Blob().Open()
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		compareReaders(t, at, got, io.NewSectionReader(want, 0, n.Size()))
	}
}

func compareReaders(t *testing.T, what string, got, want io.Reader) {
	t.Helper()
	a, b := make([]byte, 1<<16), make([]byte, 1<<16)
	for at := int64(0); ; at += int64(len(a)) {
		n, errA := io.ReadFull(got, a)
		m, errB := io.ReadFull(want, b)
		if !bytes.Equal(a[:n], b[:m]) || errA != errB {
			t.Fatalf("%s: bytes from %d on differ (%d and %d bytes, %v and %v)", what, at, n, m, errA, errB)
		}
		if errA != nil {
			return
		}
	}
}
