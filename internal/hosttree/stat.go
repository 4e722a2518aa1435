package hosttree

import (
	"fmt"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// statMask has the fields that statx(2) is asked for. Any further one could cost a network file system a request.
const statMask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_UID | unix.STATX_GID | unix.STATX_MTIME | unix.STATX_SIZE |
	unix.STATX_BLOCKS

// stat is statx(2) of name in the open directory at, or of that directory when name is "". Symlinks are not followed.
func stat(at int, name string, st *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	for {
		if err := unix.Statx(at, name, flags, statMask, st); err != unix.EINTR {
			return err
		}
	}
}

// hostOf returns the attributes in a statx structure.
func hostOf(st *unix.Statx_t) Host {
	return Host{
		Kind:  kindOf(st.Mode),
		Mode:  st.Mode & 0o7777,
		UID:   st.Uid,
		GID:   st.Gid,
		Mtime: tree.Time{Sec: st.Mtime.Sec, Nsec: st.Mtime.Nsec},
	}
}

// kindOf returns the kind of a file from its mode. Types that Linux does not have cannot occur.
func kindOf(mode uint16) tree.Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return tree.Dir
	case unix.S_IFLNK:
		return tree.Symlink
	case unix.S_IFCHR:
		return tree.CharDevice
	case unix.S_IFBLK:
		return tree.BlockDevice
	case unix.S_IFIFO:
		return tree.Fifo
	case unix.S_IFSOCK:
		return tree.Socket
	}
	return tree.File
}

// A device is the number of a file system.
type device struct{ major, minor uint32 }

func deviceOn(st *unix.Statx_t) device { return device{st.Dev_major, st.Dev_minor} }

// isMounted reports whether a file is the root of a mount. Kernels before Linux 5.8 do not report this; then a file on another device than its
// directory counts as one.
func isMounted(st *unix.Statx_t, above device) bool {
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	return deviceOn(st) != above
}

// pseudo names the file systems whose files the kernel makes while they are read (linux/magic.h): their sizes say nothing.
var pseudo = map[int64]string{
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs",
	unix.SECURITYFS_MAGIC: "securityfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2", unix.DEVPTS_SUPER_MAGIC: "devpts",
	unix.EFIVARFS_MAGIC: "efivarfs", unix.BPF_FS_MAGIC: "bpf", unix.PSTOREFS_MAGIC: "pstore", unix.SELINUX_MAGIC: "selinuxfs",
	unix.BINFMTFS_MAGIC: "binfmt_misc",
}

// refusePseudo returns an error for a path on such a file system.
func refusePseudo(path string) error {
	var st unix.Statfs_t
	for {
		switch err := unix.Statfs(path, &st); {
		case err == unix.EINTR:
			continue
		case err == nil && pseudo[int64(st.Type)] != "":
			return fmt.Errorf("is on %s, where the kernel makes files while they are read: nothing there has a fixed size", pseudo[int64(st.Type)])
		}
		return nil
	}
}
