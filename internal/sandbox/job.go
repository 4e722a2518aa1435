package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

// The files of a job in Command.Dir.
const (
	LogFile    = "log"    // what the command has written
	StatusFile = "status" // an [Outcome], when it has ended
	WantedFile = "wanted" // is locked by all who want the job to go on
	AliveFile  = "alive"  // is locked by the job
)

// A Job is a command that goes on when the process that has started it ends, for as long as any process wants it.
type Job struct {
	Command
	Timeout time.Duration // 0 for none
	MostLog int64         // bytes of the log; what is written after them is discarded, and said at its end
}

// An Outcome says how a job has ended.
type Outcome struct {
	Code      int    // of the command, 0 if it succeeded
	Status    string // how it ended otherwise, in words; "" if it did not run
	Failure   string // of setting it up; "" if there was none
	Forbidden bool   // the host forbids user namespaces, says Failure
	Unwanted  bool   // nobody wanted the job any more
}

// Err returns the error of an outcome, as [Run] returns it.
func (o Outcome) Err(argv []string) error {
	switch {
	case o.Forbidden:
		return &ForbiddenError{errors.New(o.Failure)}
	case o.Failure != "":
		return errors.New(o.Failure)
	case o.Code != 0:
		return &hosttool.ExitError{Argv: argv, Code: o.Code, Status: o.Status}
	}
	return nil
}

// jobArg is the argument that tells the program that it runs a job.
const jobArg = "sandbox-job"

// Launch starts a job, and returns when it has begun. The caller holds that of [WantedFile]; the other files are new.
func Launch(j Job) error {
	for name, text := range map[string]string{LogFile: "", StatusFile: strings.Repeat(" ", maxStatus)} { // room for the status, should the disk be full then
		if err := os.WriteFile(filepath.Join(j.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer told.Close()
	defer tell.Close()
	answer, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer answer.Close()
	defer say.Close()
	alive, err := os.OpenFile(filepath.Join(j.Dir, AliveFile), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer alive.Close()
	if err := unix.Flock(int(alive.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { // the job inherits the lock, so that there is no moment without it
		return &os.PathError{Op: "lock", Path: alive.Name(), Err: err}
	}
	cmd := exec.Command("/proc/self/exe", jobArg)
	cmd.Args[0] = os.Args[0]
	cmd.ExtraFiles = []*os.File{told, say, alive}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a signal of the terminal ends only who waits for the job
	if err := cmd.Start(); err != nil {                  // with the caller's environment, where host tools are found; the command gets nothing of it
		return err
	}
	go cmd.Wait()
	told.Close()
	say.Close()
	err = json.NewEncoder(tell).Encode(j)
	tell.Close()
	text, readErr := io.ReadAll(io.LimitReader(answer, 64<<10))
	switch {
	case err != nil || readErr != nil:
		return errors.Join(err, readErr)
	case string(text) != ready:
		return fmt.Errorf("start a job: %s", text)
	}
	return nil
}

// ready is what a job says when it has begun.
const ready = "ready"

// job runs a job.
func job(told, answer *os.File) error {
	var j Job
	if err := json.NewDecoder(told).Decode(&j); err != nil {
		return fmt.Errorf("%s is for imprint itself", jobArg)
	}
	told.Close()
	unix.CloseOnExec(5) // the lock, which ends with this process and not with the command
	if _, err := io.WriteString(answer, ready); err != nil {
		return err
	}
	answer.Close()
	outcome, err := json.Marshal(j.run())
	if err != nil {
		return err
	}
	status, err := os.OpenFile(filepath.Join(j.Dir, StatusFile), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = status.Write(outcome)
	return errors.Join(err, status.Close())
}

// maxStatus is the size of the file of an outcome, and maxFailure that of the text in it, in bytes: as JSON each takes six at most.
const maxStatus, maxFailure = 16 << 10, 2 << 10

// errUnwanted ends a job that nobody wants.
var errUnwanted = errors.New("nobody waits for it")

func (j Job) run() Outcome {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if j.Timeout > 0 {
		late := fmt.Errorf("it took longer than %v", j.Timeout)
		timer := time.AfterFunc(j.Timeout, func() { cancel(late) })
		defer timer.Stop()
	}
	wanted, err := os.OpenFile(filepath.Join(j.Dir, WantedFile), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return Outcome{Failure: err.Error()}
	}
	defer wanted.Close()
	go watch(ctx, wanted, cancel)
	log, err := os.OpenFile(filepath.Join(j.Dir, LogFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return Outcome{Failure: err.Error()}
	}
	defer log.Close()
	out := &capped{w: log, left: j.MostLog}
	j.Stdout, j.Stderr = out, out
	o := outcomeOf(ctx, Run(ctx, j.Command))
	o.Failure = o.Failure[:min(len(o.Failure), maxFailure)]
	return o
}

func outcomeOf(ctx context.Context, err error) Outcome {
	var exit *hosttool.ExitError
	var forbidden *ForbiddenError
	switch {
	case err == nil:
		return Outcome{}
	case errors.Is(context.Cause(ctx), errUnwanted):
		return Outcome{Unwanted: true, Failure: err.Error()}
	case errors.As(err, &forbidden):
		return Outcome{Forbidden: true, Failure: forbidden.Err.Error()}
	case errors.As(err, &exit):
		return Outcome{Code: exit.Code, Status: exit.Status}
	}
	return Outcome{Failure: err.Error()}
}

// between is the time between attempts to get a lock.
const between = 100 * time.Millisecond

// watch ends a job when nobody holds the lock of those who want it.
func watch(ctx context.Context, wanted *os.File, cancel func(error)) {
	for ctx.Err() == nil {
		if unix.Flock(int(wanted.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			cancel(errUnwanted)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(between):
		}
	}
}

// A capped writer discards what is too much, or what the disk has no room for: a log is not worth a failure.
type capped struct {
	w    io.Writer
	left int64
	cut  bool
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	n := len(p)
	if p = p[:min(int64(n), c.left)]; len(p) > 0 {
		c.left -= int64(len(p))
		if _, err := c.w.Write(p); err != nil {
			c.left, c.cut = 0, true
		}
	}
	if len(p) < n && !c.cut {
		c.cut = true
		io.WriteString(c.w, "\n[the rest of the log is not kept]\n")
	}
	return n, nil
}
