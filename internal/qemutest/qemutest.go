// Package qemutest boots images under QEMU without KVM and without root, and reads what the guest writes to its serial console. It is for
// tests and for the demo.
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
	Marker  string        // regular expression for the line on the console that says the system came up
	Bad     string        // regular expression for a line that says it did not, besides a kernel panic
	Timeout time.Duration // two minutes when 0
	Memory  int           // MiB; 1024 when 0

	// Keep lets the guest's writes reach the image, which is left as it was else.
	Keep bool
	// PowerOff waits, after the marker, until the guest switches the machine off. Else the machine is cut off there.
	PowerOff bool
	// Args are further arguments for QEMU.
	Args []string
	// Echo gets the lines of the console as they come.
	Echo io.Writer
}

// A Result is what came of a boot.
type Result struct {
	Serial  string // all that was written to the console, without escape sequences and carriage returns
	Line    string // the one with the marker
	Seconds float64
}

// Boot boots an image and fails the test unless the marker comes. Tests that boot may run side by side.
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

// Run boots an image. Without the marker there is an error that tells the last lines of the console.
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
	args, err := o.args(dir)
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
	complaints, err := c.watch(ctx, exec.Command(modes[o.mode()].program, args...), o.PowerOff)
	r := Result{c.text(), c.marked, time.Since(start).Seconds()}
	switch {
	case c.failed != "":
		err = fmt.Errorf("the guest says %q", c.failed)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no end within %v", timeout)
	case err == nil && c.marked == "":
		err = fmt.Errorf("QEMU ended without a line %q", o.Marker)
	}
	if err != nil {
		return r, fmt.Errorf("boot %s (%s): %v\n%s%s", o.Image, o.mode(), err, complaints, c.tail(25))
	}
	return r, nil
}

// watch runs QEMU until the console has shown what is waited for, the context ends or QEMU does, and ends it. It gives what QEMU wrote
// to its standard error.
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

// tail is the last lines of the console.
func (c *console) tail(n int) string {
	lines := strings.Split(strings.TrimRight(c.text(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
