package output

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	maxFileName = 255 // bytes of a name, on nearly every file system
	maxLinks    = 40  // symlinks that Linux follows in one path (MAXSYMLINKS)
)

// Place returns the absolute path of the file that an output path names, with symlinks followed as open(2) would. It refuses
// what cannot be an output: a directory, a device, an open file of a process.
func Place(path string) (string, error) {
	at := path
	for range maxLinks {
		place, link, err := step(at)
		if err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
		if link == "" {
			return place, nil
		}
		if at = link; !filepath.IsAbs(link) { // without Join, which would drop ".." before links are followed
			at = filepath.Dir(place) + "/" + link
		}
	}
	return "", fmt.Errorf("write %s: %w", path, unix.ELOOP)
}

// Same reports whether two paths name the same file. Both must exist.
func Same(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// step follows the symlinks in the directory of a path. If the path itself is a symlink, link is what it holds.
func step(at string) (place, link string, err error) {
	dir, base := filepath.Split(at)
	if base == "" || base == "." || base == ".." {
		return "", "", errors.New("that is a directory")
	}
	if len(base) > maxFileName {
		return "", "", fmt.Errorf("the name has %d bytes, %d are possible", len(base), maxFileName)
	}
	if dir, err = realDir(cmp.Or(dir, ".")); err != nil {
		return "", "", err
	}
	place = filepath.Join(dir, base)
	var st unix.Stat_t
	if err := unix.Lstat(place, &st); errors.Is(err, fs.ErrNotExist) {
		return place, "", nil
	} else if err != nil {
		return "", "", err
	}
	if err := mayReplace(dir, &st); err != nil {
		return "", "", err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return place, "", nil
	case unix.S_IFLNK:
		link, err = os.Readlink(place)
		return place, link, err
	case unix.S_IFDIR:
		return "", "", errors.New("that is a directory")
	}
	return "", "", errors.New("not a regular file")
}

// realDir resolves all symlinks of a directory. It refuses /proc, where /proc/self/fd/1 and /dev/stdout lead.
func realDir(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil && st.Type == unix.PROC_SUPER_MAGIC {
		return "", errors.New("an image cannot go to an open file or a pipe, since it is written in parallel at offsets and then named")
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	return dir, err
}

// mayReplace refuses a file that another user has put into a sticky world-writable directory such as /tmp: a symlink there
// would choose which of our files is replaced, and a file would stay the other user's. This is the rule of
// fs.protected_symlinks and fs.protected_regular (Linux, Documentation/admin-guide/sysctl/fs.rst), which open applies and
// rename does not.
func mayReplace(dir string, st *unix.Stat_t) error {
	var parent unix.Stat_t
	if err := unix.Stat(dir, &parent); err != nil {
		return err
	}
	const shared = unix.S_ISVTX | unix.S_IWOTH
	if parent.Mode&shared != shared || st.Uid == uint32(unix.Geteuid()) || st.Uid == parent.Uid {
		return nil
	}
	return fmt.Errorf("it belongs to user %d, and everyone can put files into %s: %w", st.Uid, dir, fs.ErrPermission)
}
