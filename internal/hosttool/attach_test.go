package hosttool

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAttach(t *testing.T) {
	var out, complaints bytes.Buffer
	err := Attach(t.Context(), Command{
		Name: "sh", Args: []string{"-c", "cat; echo $MORE; echo oops >&2; exit 3"}, Env: []string{"MORE=more"}, Stdin: strings.NewReader("in\n"),
	}, &out, &complaints)
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 3 || out.String() != "in\nmore\n" || complaints.String() != "oops\n" {
		t.Errorf("got %v, %q and %q", err, &out, &complaints)
	}
	if err := Attach(t.Context(), Command{Name: "true"}, &out, &out); err != nil {
		t.Error(err)
	}
	if err := Attach(t.Context(), Command{Name: "no-such-program"}, &out, &out); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
}

// A program is in the process group of its caller, which is that of the terminal, and is asked to end before it is killed.
func TestAttachEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pidFile := filepath.Join(t.TempDir(), "pid")
	var out bytes.Buffer
	done := make(chan error)
	go func() {
		script := `trap 'echo asked; exit 0' TERM; echo $$ >"$0.tmp"; mv "$0.tmp" "$0"; while :; do sleep 0.05; done`
		done <- Attach(ctx, Command{Name: "sh", Args: []string{"-c", script, pidFile}}, &out, &out)
	}()
	pid := waitForPID(t, pidFile)
	if group := groupOf(t, pid); group != groupOf(t, 0) {
		t.Errorf("it is in the process group %d", group)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || out.String() != "asked\n" {
		t.Errorf("got %v, %q", err, &out)
	}
	waitForEnd(t, pid)
}

func groupOf(t *testing.T, pid int) int {
	t.Helper()
	group, err := syscall.Getpgid(pid)
	if err != nil {
		t.Fatal(err)
	}
	return group
}
