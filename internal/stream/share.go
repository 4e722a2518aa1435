package stream

import (
	"errors"

	"imprint/internal/extent"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// shareBlock is the unit in bytes in which file systems share extents: their block size, at most a page in all of them.
const shareBlock = 4096

// leastShared is the length in bytes from which on sharing extents is faster than copying. Below it the system call costs more than the copy.
const leastShared = 64 << 10

// share shares the first whole blocks of a part with the source, if both the host's file system and the alignment allow it, and
// returns how many bytes that are.
func (c *copying) share(part extent.Extent) int64 {
	whole, v := part.Len&^(shareBlock-1), c.w.disk.At(part.Off)
	if whole < leastShared || part.Off%shareBlock != 0 || v.Scratch || v.unshared.Load() {
		return 0
	}
	fd, start, ok := tree.Descriptor(c.reader)
	if !ok || !v.share(fd, start+part.At, whole, part.Off-v.Start) {
		return 0
	}
	return whole
}

// share makes n bytes at off of the file share extents with an open file from at on, if the host's file system can (ioctl_ficlonerange(2):
// btrfs, XFS, bcachefs…). After a refusal that holds for every file there is no further attempt: a copy is faster than a system call that
// fails.
func (v *Volume) share(fd int, at, n, off int64) bool {
	if at%shareBlock != 0 {
		return false
	}
	err := unix.IoctlFileCloneRange(int(v.File.Fd()), &unix.FileCloneRange{
		Src_fd: int64(fd), Src_offset: uint64(at), Src_length: uint64(n), Dest_offset: uint64(off),
	})
	for _, never := range []error{unix.EOPNOTSUPP, unix.EXDEV, unix.ENOTTY, unix.ENOSYS, unix.EPERM} {
		if errors.Is(err, never) {
			v.unshared.Store(true)
		}
	}
	return err == nil
}
