package partitiontest

import (
	"bytes"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/tree"

	"github.com/erofs/go-erofs"
)

// CheckEROFS runs fsck.erofs over the region, with all contents: it must find nothing.
func CheckEROFS(t testing.TB, r Region) {
	t.Helper()
	hosttest.Need(t, "fsck.erofs")
	out, err := hosttool.Run(t.Context(), hosttool.Command{Name: "fsck.erofs", Args: []string{"--extract", r.alone(t)}, Merge: true})
	if err != nil || bytes.Contains(out.Output, []byte("<E>")) || bytes.Contains(out.Output, []byte("<W>")) {
		t.Fatalf("fsck.erofs complains: %v\n%.3000s", err, out.Output)
	}
}

// EROFS reads the region with the library go-erofs, and the label with blkid. Nothing is free in an EROFS.
func EROFS(t testing.TB, r Region) Snapshot {
	t.Helper()
	fsys, err := erofs.Open(r.open(t))
	if err != nil {
		t.Fatal(err)
	}
	e := erofsReader{TB: t, FS: fsys, first: map[int64]string{}, digests: map[int64]string{}, entries: map[string]Entry{}}
	e.walk("/")
	out, err := hosttool.Run(t.Context(), hosttool.Command{Name: hosttest.Find(t, "blkid"),
		Args: []string{"-p", "-O", strconv.FormatInt(r.Offset, 10), "-s", "LABEL", "-o", "value", r.File}})
	if err != nil {
		t.Fatal(err)
	}
	return Snapshot{Entries: e.entries, Label: strings.TrimSuffix(string(out.Output), "\n")}
}

// erofsReader reads one file system.
type erofsReader struct {
	testing.TB
	fs.FS
	first   map[int64]string // the first path of an inode
	digests map[int64]string // of files, by inode
	entries map[string]Entry
}

// walk reads the node at a path and everything below it. It is not fs.WalkDir, which refuses names that are not UTF-8.
func (e erofsReader) walk(path string) {
	info, err := fs.Lstat(e.FS, path)
	if err != nil {
		e.Fatal(err)
	}
	st := info.Sys().(*erofs.Stat)
	if _, ok := e.first[st.Ino]; !ok {
		e.first[st.Ino] = path
	}
	entry := e.entry(path, st)
	e.entries[path] = entry
	if entry.Kind != tree.Dir {
		return
	}
	names, err := fs.ReadDir(e.FS, path)
	if err != nil {
		e.Fatal(err)
	}
	for _, n := range names {
		e.walk(tree.Join(path, n.Name()))
	}
}

var goKinds = map[fs.FileMode]tree.Kind{
	0: tree.File, fs.ModeDir: tree.Dir, fs.ModeSymlink: tree.Symlink, fs.ModeDevice: tree.BlockDevice, fs.ModeDevice | fs.ModeCharDevice: tree.CharDevice,
	fs.ModeNamedPipe: tree.Fifo, fs.ModeSocket: tree.Socket,
}

func (e erofsReader) entry(path string, st *erofs.Stat) Entry {
	kind, ok := goKinds[st.Mode.Type()]
	if !ok {
		e.Fatalf("%q has mode %v", path, st.Mode)
	}
	x := Entry{Kind: kind, Mode: unixMode(st.Mode), UID: st.UID, GID: st.GID, Mtime: tree.Time{Sec: int64(st.Mtime), Nsec: st.MtimeNs}}
	for name, value := range st.Xattrs {
		if x.Xattrs == nil {
			x.Xattrs = map[string]string{}
		}
		x.Xattrs[strings.TrimSuffix(name, ".")] = value // the library ends names of access control lists so
	}
	switch kind {
	case tree.Dir:
		return x
	case tree.File:
		x.Size, x.Content = st.Size, e.digest(path, st.Ino)
	case tree.Symlink:
		target, err := fs.ReadLink(e.FS, path)
		if err != nil {
			e.Fatal(err)
		}
		x.Size, x.Target = st.Size, target
	case tree.CharDevice, tree.BlockDevice:
		// The form of the kernel's new_encode_dev: 12 bits of the minor, the major, 8 bits of the minor.
		x.Device = tree.Device{Major: st.Rdev >> 8 & 0xfff, Minor: st.Rdev&0xff | st.Rdev>>20<<8}
	}
	x.Links, x.First = st.Nlink, e.first[st.Ino]
	return x
}

// unixMode returns a mode in the bits of Unix.
func unixMode(m fs.FileMode) uint16 {
	mode := uint16(m.Perm())
	for set, bit := range map[fs.FileMode]uint16{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&set != 0 {
			mode |= bit
		}
	}
	return mode
}

func (e erofsReader) digest(path string, inode int64) string {
	if e.digests[inode] == "" {
		f, err := e.FS.Open(path)
		if err != nil {
			e.Fatal(err)
		}
		defer f.Close()
		e.digests[inode] = digest(f)
	}
	return e.digests[inode]
}
