package hosttool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
)

// Attach runs a program that its user talks to: on the terminal of the caller, in whose process group it stays, so that it may read keys and
// gets the terminal's signals as well. Its environment is that of [Run]. Of the command, Name, Args, Dir, Env and Stdin count.
//
// When ctx ends, the program is asked to end (SIGTERM), and killed if it does not. Errors are those of Run.
func Attach(ctx context.Context, c Command, stdout, stderr io.Writer) error {
	path, err := Find(c.Name)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // see Run
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Args[0] = c.Name
	cmd.Dir, cmd.Env = c.Dir, environment(c.Env)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = drainTime
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run %s: %w", c.Name, context.Cause(ctx))
	case errors.As(err, &exit):
		return &ExitError{Argv: append([]string{c.Name}, c.Args...), Code: exit.ExitCode(), Status: exit.String()}
	case err != nil:
		return fmt.Errorf("run %s: %v", c.Name, err)
	}
	return nil
}
