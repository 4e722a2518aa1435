package write

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
	maxFileName = 255 // bytes of a name that nearly every file system takes
	maxLinks    = 40  // symlinks that Linux follows in a path
)

// Place is the absolute path of the file that an output path means, with symlinks followed as the kernel does when it opens the path for
// writing. It refuses what can be no output: a directory, a device, an open file of a process.
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
		if at = link; !filepath.IsAbs(link) { // not Join, which would remove ".." before links are followed
			at = filepath.Dir(place) + "/" + link
		}
	}
	return "", fmt.Errorf("write %s: %w", path, unix.ELOOP)
}

// step follows the directory of a path, and reads the symlink that the path is, "" where it is none.
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
	return "", "", errors.New("it is there and is no regular file")
}

// realDir follows all symlinks of a directory.
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
		return "", errors.New("an open file or a pipe cannot be an image, which is written in parallel at offsets and then named")
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	return dir, err
}

// mayReplace refuses what another user has put into a directory in which everyone can put something, such as /tmp: a link there would choose
// which of our files is replaced, and a file would be the other user's image. It is the rule of fs.protected_symlinks and
// fs.protected_regular (Linux, Documentation/admin-guide/sysctl/fs.rst), which open applies and rename does not.
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
