package hosttree

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// A dir is a directory of the host. Files keep a pointer to theirs instead of a path, so that a million of them share the names of their
// directories.
type dir struct {
	parent *dir
	name   string // one path element; the whole path when there is no parent
	atime  bool   // the kernel refuses O_NOATIME here, since the files belong to another user
}

// path returns the path of name in d, or of d itself if name is "".
func (d *dir) path(name string) string {
	// The path is built from its end, in memory of its greatest length: each element may need a slash.
	n := len(name)
	for p := d; p != nil; p = p.parent {
		n += len(p.name) + 1
	}
	b := make([]byte, n)
	at := n
	prepend := func(s string) {
		if at < n && b[at] != '/' && !strings.HasSuffix(s, "/") {
			at--
			b[at] = '/'
		}
		at -= len(s)
		copy(b[at:], s)
	}
	if name != "" {
		prepend(name)
	}
	for p := d; p != nil; p = p.parent {
		prepend(p.name)
	}
	return string(b[at:])
}

// below returns the path of name in d as seen from the top of the scan, such as "/etc/motd".
func (d *dir) below(name string) string {
	if d.parent == nil {
		return "/" + name
	}
	return tree.Join(d.parent.below(d.name), name)
}

// base returns the name of the directory's node: "" for the top of a scan.
func (d *dir) base() string {
	if d.parent == nil {
		return ""
	}
	return d.name
}

// flags returns the flags of open(2) for reading files in d. Reading should neither change the host's access times nor spend time on that.
func (d *dir) flags() int {
	if d == nil || d.atime {
		return readFlags
	}
	return readFlags | unix.O_NOATIME
}

// readFlags has O_NONBLOCK since a file that was replaced by a fifo must not make open wait for a writer.
const readFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

// openat is openat(2) for reading, without O_NOATIME if that is not permitted; atime reports whether it was omitted.
func openat(at int, name string, flags int) (fd int, atime bool, err error) {
	for {
		fd, err = unix.Openat(at, name, flags, 0)
		switch {
		case err == unix.EINTR:
		case err == unix.EPERM && flags&unix.O_NOATIME != 0:
			flags &^= unix.O_NOATIME
		default:
			return fd, flags&unix.O_NOATIME == 0, err
		}
	}
}

// maxPath is the longest path that a system call takes: PATH_MAX of linux/limits.h without the NUL.
const maxPath = 4095

// openPath is openat for a path of any length: one that is too long for a system call is opened in parts.
func openPath(path string, flags int) (fd int, atime bool, err error) {
	at := unix.AT_FDCWD
	for len(path) > maxPath {
		cut := strings.LastIndexByte(path[:maxPath], '/')
		if cut <= 0 {
			break // let the kernel report that the name is too long
		}
		next, _, err := openat(at, path[:cut], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
		closeUnless(at, unix.AT_FDCWD)
		if err != nil {
			return -1, false, err
		}
		at, path = next, path[cut+1:]
	}
	fd, atime, err = openat(at, path, flags)
	closeUnless(at, unix.AT_FDCWD)
	return fd, atime, err
}

func closeUnless(fd, not int) {
	if fd != not {
		unix.Close(fd)
	}
}

// pathError returns the error of an operation on a path, which may have any bytes.
func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: tree.Shown(path), Err: err}
}
