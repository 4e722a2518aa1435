package write

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writebackPause is how long the kernel gathers what is written before it is asked to send that to the disk.
const writebackPause = 50 * time.Millisecond

// writeBack has the kernel send what is written to a file to the disk while more is being written, so that the sync at the end finds little
// left to do. The function that it returns ends that.
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
