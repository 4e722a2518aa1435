package write

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writebackPause is the time between requests to the kernel to write back dirty pages. Much less, and small writes go out that
// could have been merged.
const writebackPause = 50 * time.Millisecond

// writeBack has the kernel write a file back while more is being written to it, so that the sync at the end has little left to
// do. stop ends it.
func writeBack(file *os.File) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(writebackPause)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			// Errors are those of the sync at the end: this call alone does not report them, nor clear them.
			if unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) != nil {
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
