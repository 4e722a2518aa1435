package steprun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"imprint/internal/objects"
	"imprint/internal/sandbox"

	"golang.org/x/sys/unix"
)

// lock opens a file and locks it, without waiting. It returns nil if another process is in the way, or if the file has another name by now.
func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if err == nil {
		opened, statErr := f.Stat()
		named, gone := os.Lstat(path)
		if statErr == nil && gone == nil && os.SameFile(opened, named) {
			return f, nil
		}
		err = unix.EWOULDBLOCK
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// isAlive reports whether the job of a directory runs.
func isAlive(dir string) bool {
	f, err := os.Open(filepath.Join(dir, sandbox.AliveFile))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

// wait reports the log of a job while it runs, and returns how it has ended, and the log.
func (c *call) wait(ctx context.Context, dir string) (o sandbox.Outcome, log *os.File, err error) {
	log, err = os.Open(filepath.Join(dir, sandbox.LogFile))
	if err != nil {
		return o, nil, err
	}
	status, err := os.Open(filepath.Join(dir, sandbox.StatusFile))
	if err != nil {
		log.Close()
		return o, nil, err
	}
	defer status.Close()
	for {
		last := !isAlive(dir) // what it has written is there by now
		c.tail(log)
		if last {
			break
		}
		if err := pause(ctx); err != nil {
			log.Close()
			return o, nil, err
		}
	}
	text, err := io.ReadAll(status)
	if err == nil && json.Unmarshal(text, &o) != nil {
		err = fmt.Errorf("step %q: the process that ran it was killed", c.step.Name)
	}
	if err != nil {
		log.Close()
		return o, nil, err
	}
	return o, log, nil
}

// follow waits for a step that another process runs. Without an error it has to be looked for again: it may be there now, or nobody runs it any more.
func (c *call) follow(ctx context.Context) error {
	dir := filepath.Join(c.running(), objects.Text(c.id))
	wanted, err := lock(filepath.Join(dir, sandbox.WantedFile), unix.LOCK_SH)
	if wanted == nil || err != nil {
		return notThere(err)
	}
	defer wanted.Close()
	if !isAlive(dir) { // the leader prepares it, or collects what it has made
		return nil
	}
	if c.heard == nil {
		c.note(Note, "is run by another process")
	}
	o, log, err := c.wait(ctx, dir)
	if err != nil {
		return notThere(err)
	}
	defer log.Close()
	if o.Unwanted {
		return nil
	}
	return c.failed(o, log)
}

// notThere is nil for an error about a directory that is gone.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
