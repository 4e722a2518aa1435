package sandbox

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Bind is a file or directory that the command sees at a path of the tree.
type Bind struct {
	From     string // in Command.Dir
	To       string // absolute, in the tree; symlinks are followed within it, and what is not there is made
	Dir      bool   // a directory, else a file
	Writable bool
}

// binds mounts what the command is given: what is in a directory that is given as well after that, and only then is any of it read-only, so that
// there is a place for each.
func (s setup) binds(root target) error {
	inner := slices.SortedStableFunc(slices.Values(s.Binds), func(a, b Bind) int { return strings.Count(a.To, "/") - strings.Count(b.To, "/") })
	for _, do := range []func(Bind) error{root.bind, root.protect} {
		for _, b := range inner {
			if err := do(b); err != nil {
				return fmt.Errorf("mount %s: %w", b.To, err)
			}
		}
	}
	return nil
}

func (t target) bind(b Bind) error {
	at, err := t.place(b.To, b.Dir)
	if err != nil {
		return err
	}
	return unix.Mount(b.From, at.path(), "", unix.MS_BIND, "")
}

// protect restricts what is mounted at a path.
func (t target) protect(b Bind) error {
	at, err := t.within(b.To)
	if err != nil {
		return err
	}
	flags, err := at.flags()
	if err != nil {
		return err
	}
	if !b.Writable {
		flags |= unix.MS_RDONLY
	}
	return unix.Mount("", at.path(), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV|flags, "")
}

// flags returns those of the mount that a remount has to keep.
func (t target) flags() (flags uintptr, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(t), &st); err != nil {
		return 0, err
	}
	for is, mount := range map[int64]uintptr{
		unix.ST_RDONLY: unix.MS_RDONLY, unix.ST_NOEXEC: unix.MS_NOEXEC, unix.ST_NOATIME: unix.MS_NOATIME, unix.ST_NODIRATIME: unix.MS_NODIRATIME, unix.ST_RELATIME: unix.MS_RELATIME,
	} {
		if st.Flags&is != 0 {
			flags |= mount
		}
	}
	return flags, nil
}

// within opens a path of the tree. Links cannot lead out of it.
func (t target) within(name string) (target, error) {
	fd, err := unix.Openat2(int(t), name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	return target(fd), err
}

// place opens a path of the tree, and makes what is not there.
func (t target) place(name string, dir bool) (target, error) {
	at, err := t.within(name)
	if !errors.Is(err, unix.ENOENT) || name == "/" {
		return at, err
	}
	above, err := t.place(path.Dir(name), true)
	if err != nil {
		return above, err
	}
	if dir {
		err = unix.Mkdirat(int(above), path.Base(name), 0o755)
	} else {
		err = unix.Mknodat(int(above), path.Base(name), unix.S_IFREG|0o644, 0)
	}
	if errors.Is(err, unix.EEXIST) {
		err = fmt.Errorf("%s is a symlink to what is not in the tree", name)
	}
	if err != nil {
		return above, err
	}
	return t.within(name)
}
