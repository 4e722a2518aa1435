// Package qemutest boots images under QEMU, without KVM or root, and reads the guest's serial console. It is for tests and the demo.
package qemutest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

// Options say what to boot, how, and what to wait for.
type Options struct {
	Image   string
	Mode    string        // one of Modes; "uefi" when empty
	Command string        // a shell's command line that starts QEMU with the image on a serial console, in place of Mode's
	Marker  string        // regular expression for the console line that says the system is up
	Bad     string        // regular expression for a line that says it failed, in addition to a kernel panic
	Timeout time.Duration // two minutes when 0
	Memory  int           // MiB; 1024 when 0

	// Keep writes the guest's changes to the image. By default they are discarded.
	Keep bool
	// PowerOff waits after the marker until the guest switches the machine off. By default QEMU is killed at the marker.
	PowerOff bool
	// Args are additional arguments for QEMU.
	Args []string
	// Echo receives the console lines as they are printed.
	Echo io.Writer
}

// A Result is the outcome of a boot.
type Result struct {
	Serial  string // console output without escape sequences and carriage returns
	Line    string // the line with the marker
	Seconds float64
}

// Boot boots an image and fails the test unless the marker is printed. It is safe for parallel tests.
func Boot(t testing.TB, o Options) Result {
	t.Helper()
	m := modes[o.mode()]
	hosttest.Need(t, m.program)
	hosttest.NeedFile(t, m.files()...)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Run boots an image. If the marker is not printed, it returns an error with the last console lines.
func Run(ctx context.Context, o Options) (Result, error) {
	c, err := newConsole(o)
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp("", "qemutest-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	qemu, err := o.command(dir)
	if err != nil {
		return Result{}, err
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	start := time.Now()
	complaints, err := c.watch(ctx, qemu, o.PowerOff)
	r := Result{c.text(), c.marked, time.Since(start).Seconds()}
	switch {
	case c.failed != "":
		err = fmt.Errorf("the guest printed %q", c.failed)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("still running after %v", timeout)
	case err == nil && c.marked == "":
		err = fmt.Errorf("QEMU exited before a line matched %q", o.Marker)
	}
	if err != nil {
		return r, fmt.Errorf("boot %s (%s): %v\n%s%s", o.Image, o.mode(), err, complaints, c.tail(25))
	}
	return r, nil
}

// command is how QEMU is run.
func (o Options) command(dir string) (*exec.Cmd, error) {
	if o.Command != "" {
		return exec.Command("sh", "-c", "exec "+o.Command+" -no-reboot -snapshot -net none"), nil
	}
	args, err := o.args(dir)
	return exec.Command(modes[o.mode()].program, args...), err
}

// watch runs QEMU until the console shows what it waits for, the context ends, or QEMU exits. Then it kills QEMU and returns its standard
// error.
func (c *console) watch(ctx context.Context, qemu *exec.Cmd, powerOff bool) (string, error) {
	var complaints bytes.Buffer
	qemu.Stdout, qemu.Stderr = c, &complaints
	if err := qemu.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- qemu.Wait() }()
	marked := c.hasMarker
	for {
		select {
		case err := <-ended:
			return complaints.String(), err
		case <-marked:
			if powerOff {
				marked = nil
				continue
			}
		case <-c.hasFailed:
		case <-ctx.Done():
			qemu.Process.Kill()
			<-ended
			return complaints.String(), ctx.Err()
		}
		qemu.Process.Kill()
		<-ended
		return complaints.String(), nil
	}
}

// tail returns the last n console lines.
func (c *console) tail(n int) string {
	lines := strings.Split(strings.TrimRight(c.text(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
