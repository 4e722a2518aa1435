// Command guest lists what the kernel sees in a mounted file system, a line for each path. As the first process of a system it lists the
// root file system, all but what is mounted in it.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	root := "/"
	if len(os.Args) > 1 && os.Getpid() != 1 {
		root = os.Args[1]
	}
	err := show(root)
	if err != nil {
		fmt.Println("imprint: FAIL:", err)
	} else {
		fmt.Println("imprint: ready")
	}
	if os.Getpid() == 1 {
		time.Sleep(time.Hour)
	}
	if err != nil {
		os.Exit(1)
	}
}

// A lister walks one file system.
type lister struct {
	root  string
	dev   uint64
	lines []line
	first map[uint64]string // the first path of an inode
}

type line struct{ path, text string }

func show(root string) error {
	var st unix.Stat_t
	if err := unix.Lstat(root, &st); err != nil {
		return err
	}
	l := lister{root: root, dev: st.Dev, first: map[uint64]string{}}
	if err := l.walk("/"); err != nil {
		return err
	}
	slices.SortFunc(l.lines, func(a, b line) int { return cmp.Compare(a.path, b.path) })
	for _, x := range l.lines {
		fmt.Println(x.text)
	}
	return nil
}

func (l *lister) walk(path string) error {
	host := filepath.Join(l.root, path)
	var st unix.Stat_t
	if err := unix.Lstat(host, &st); err != nil {
		return fmt.Errorf("%q: %v", path, err)
	}
	if st.Dev != l.dev {
		return nil
	}
	if l.first[st.Ino] == "" {
		l.first[st.Ino] = path
	}
	text, err := content(host, &st)
	if err != nil {
		return fmt.Errorf("%q: %v", path, err)
	}
	xattrs, err := xattrs(host)
	if err != nil {
		return fmt.Errorf("%q: extended attributes: %v", path, err)
	}
	size := st.Size
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0
	}
	l.lines = append(l.lines, line{path, fmt.Sprintf("entry %q %o %d %d %d.%09d %d %d:%d %d %q %q %q", path, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec,
		size, unix.Major(st.Rdev), unix.Minor(st.Rdev), st.Nlink, l.first[st.Ino], text, xattrs)})
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	entries, err := os.ReadDir(host)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.walk(strings.TrimSuffix(path, "/") + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// edge is how much of the beginning and of the end of a file is looked at.
const edge = 1 << 20

func content(path string, st *unix.Stat_t) (string, error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return os.Readlink(path)
	case unix.S_IFREG:
	default:
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for _, at := range []int64{0, max(0, st.Size-edge)} {
		if _, err := io.Copy(h, io.NewSectionReader(f, at, edge)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// xattrs are all attributes, sorted by name.
func xattrs(path string) (string, error) {
	names := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, names)
	if err == syscall.ENOTSUP {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var all []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 1<<16)
		k, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", fmt.Errorf("%s: %v", name, err)
		}
		sum := sha256.Sum256(value[:k])
		all = append(all, fmt.Sprintf("%s=%d:%x", name, k, sum[:8]))
	}
	slices.Sort(all)
	return strings.Join(all, " "), nil
}
