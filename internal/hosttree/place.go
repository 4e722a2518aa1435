package hosttree

import (
	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// A Place is a directory of the host that is not read: what is in it is known from elsewhere.
type Place struct{ d *dir }

// At returns the place at a path, without looking whether there is a directory.
func At(path string) Place { return Place{&dir{name: path}} }

// Below returns the place of a directory in this one.
func (p Place) Below(name string) Place { return Place{&dir{parent: p.d, name: name}} }

// File returns the content of a file in the directory that has size bytes. A symlink of that name is not followed. Whether there is such a
// file shows when it is opened, and whether it is long enough when it is read.
func (p Place) File(name string, size int64) tree.Blob {
	return &file{dir: p.d, name: name, size: size}
}

// KindAt returns what a path of the host names. A symlink is not followed. Errors are [*fs.PathError].
func KindAt(path string) (tree.Kind, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Lstat(path, &st); err {
		case nil:
			return kindOf(uint16(st.Mode)), nil
		case unix.EINTR:
		default:
			return 0, pathError("stat", path, err)
		}
	}
}
