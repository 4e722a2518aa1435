package stream

import (
	"errors"

	"golang.org/x/sys/unix"
)

// shareBlock is the unit in bytes in which file systems share extents: their block size, at most a page in all of them.
const shareBlock = 4096

// share makes n bytes at off of the disk the same extents as those of an open file from at on, where the host's file system can
// (ioctl_ficlonerange(2): btrfs, XFS, bcachefs…). The first refusal that holds for every file ends the trying: a copy is faster than a
// system call that fails.
func (d *Disk) share(fd int, at, n, off int64) bool {
	if at%shareBlock != 0 {
		return false
	}
	err := unix.IoctlFileCloneRange(int(d.File.Fd()), &unix.FileCloneRange{
		Src_fd: int64(fd), Src_offset: uint64(at), Src_length: uint64(n), Dest_offset: uint64(off),
	})
	for _, never := range []error{unix.EOPNOTSUPP, unix.EXDEV, unix.ENOTTY, unix.ENOSYS, unix.EPERM} {
		if errors.Is(err, never) {
			d.unshared.Store(true)
		}
	}
	return err == nil
}
