// Package hosttool runs programs of the host. It is the only package that does, so that each of them gets the same environment, ends with the
// caller's context, and is reported with its arguments and its standard error if it fails.
//
// From the caller's environment a program gets only PATH. The rest is fixed, LC_ALL=C and TZ=UTC, so that neither its output nor the files
// it writes depend on who runs it.
package hosttool

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// DefaultLimit is the number of bytes that a program may write to its standard output if Command.Limit is 0.
const DefaultLimit = 1 << 20

// tailSize is the number of bytes that are kept of the end of standard error.
const tailSize = 4 << 10

// drainTime is how long Run waits for children of a killed program that still hold its output open.
const drainTime = 2 * time.Second

// A Command is a program to run.
type Command struct {
	Name  string   // of the program, as Find takes it
	As    string   // what the program is told to be its name, "" for Name
	Args  []string // without the name
	Stdin io.Reader
	Files []*os.File // open files that the program inherits, as descriptors from 3 on
	Dir   string     // working directory, "" for the caller's
	Env   []string   // "NAME=value", in addition to the fixed variables
	Merge bool       // append standard error to Result.Output too, in the order of writing
	Limit int64      // bytes of Result.Output, 0 for DefaultLimit; a program that writes more is killed, which is an error
}

// A Result is the output of a program.
type Result struct {
	Output []byte // standard output, and standard error with Merge
	Stderr []byte // the last 4 KiB of standard error; nil with Merge
}

// Run runs the program to its end. The error is a [*MissingError] when there is no such program, ctx's cause when ctx ended and killed it
// with all its children, and an [*ExitError] when it did not return 0; the Result is valid in that case too.
func Run(ctx context.Context, c Command) (Result, error) {
	path, err := Find(c.Name)
	if err != nil {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", c.Name, context.Cause(ctx))
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := &head{limit: c.Limit, full: stop}
	if c.Limit == 0 {
		out.limit = DefaultLimit
	}
	var end tail
	runtime.LockOSThread() // Pdeathsig kills the program when the thread that started it ends, see exec
	defer runtime.UnlockOSThread()
	err = c.exec(ctx, path, out, &end).Run()
	return c.result(ctx, err, out, &end)
}

func (c Command) exec(ctx context.Context, path string, out, end io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Args[0] = cmp.Or(c.As, c.Name)
	cmd.Stdin, cmd.Dir, cmd.Env = c.Stdin, c.Dir, environment(c.Env)
	cmd.Stdout, cmd.Stderr = out, end
	cmd.ExtraFiles = c.Files
	if c.Merge {
		cmd.Stderr = out // the same writer, so one pipe, which keeps the order
	}
	// In a process group of its own, a program is killed together with its children, and the terminal's Ctrl-C reaches only the caller,
	// who ends ctx. When the caller itself is killed, so is the program.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drainTime
	return cmd
}

func (c Command) result(ctx context.Context, err error, out *head, end *tail) (Result, error) {
	r := Result{Output: out.kept.Bytes()}
	if !c.Merge {
		r.Stderr = end.Bytes()
	}
	if err == nil {
		return r, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return r, fmt.Errorf("run %s: %w", c.Name, cause)
	}
	said := r.Stderr
	if c.Merge {
		said = lastBytes(r.Output, tailSize)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return r, fmt.Errorf("run %s: %v", c.Name, err)
	}
	return r, &ExitError{Argv: append([]string{c.Name}, c.Args...), Code: exit.ExitCode(), Status: exit.String(), Stderr: string(said)}
}

func environment(more []string) []string {
	return slices.Concat([]string{"LC_ALL=C", "TZ=UTC", "PATH=" + searchPath()}, more)
}

// A head keeps output up to a limit, and ends a program that writes more.
type head struct {
	kept  bytes.Buffer // not embedded: its ReadFrom would bypass the limit
	limit int64
	full  context.CancelCauseFunc
}

func (h *head) Write(p []byte) (int, error) {
	if int64(h.kept.Len()+len(p)) > h.limit {
		err := fmt.Errorf("more than %d bytes of output", h.limit)
		h.full(err)
		return 0, err
	}
	return h.kept.Write(p)
}

// A tail keeps the last bytes that are written.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*tailSize {
		t.kept = t.kept[:copy(t.kept, lastBytes(t.kept, tailSize))]
	}
	return len(p), nil
}

func (t *tail) Bytes() []byte { return lastBytes(t.kept, tailSize) }

func lastBytes(p []byte, n int) []byte { return p[max(0, len(p)-n):] }
