package output

import (
	"imprint/internal/interrupt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writebackPause is the time between requests to the kernel to write back dirty pages. Much less, and small writes go out that
// could have been merged.
const writebackPause = 50 * time.Millisecond

// WriteBack has the kernel write a file back while more is being written to it, so that the sync at the end has little left to
// do. stop ends it.
func WriteBack(file *os.File) (stop func()) {
	return interrupt.Every(writebackPause, func() bool { return writeBack(file) == nil })
}

// writeBack begins to write what waits. Errors are those of the sync at the end: this call alone does not report them, nor clear them.
func writeBack(file *os.File) error {
	return unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

// WriteAway is like WriteBack, and has the kernel use the memory of what is on the disk again. Where several files are written at a time, they
// then take none away from what else is cached, and new memory, which is slow to get on many virtual machines, is hardly needed.
func WriteAway(file *os.File) (stop func()) {
	return interrupt.Every(writebackPause, func() bool {
		return writeBack(file) == nil && unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) == nil
	})
}

// Direct opens an output once more, to write whole blocks of it past the page cache (O_DIRECT); nil if its file system cannot do that. Closing the
// output does not close it.
func Direct(file *os.File) *os.File {
	fd, err := unix.Open(ToolPath(file), unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), file.Name()) // which errors name
}
