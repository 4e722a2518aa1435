package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Begin()
	os.Exit(m.Run())
}

// box makes the directories of a sandbox, with a static shell in the tree.
func box(t *testing.T) Command {
	t.Helper()
	hosttest.Need(t, "busybox", "unshare")
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		t.Skip("needs user namespaces")
	}
	dir := t.TempDir()
	for _, name := range []string{"lower/proc", "lower/dev", "upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lower/busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	return Command{Dir: dir, Env: []string{"PATH=/none:/"}, Host: "box", Identity: Identity{UID: os.Getuid(), GID: os.Getgid()}}
}

func TestRun(t *testing.T) {
	c := box(t)
	var out, complaints bytes.Buffer
	c.Argv = []string{"busybox", "sh", "-c", "cat; hostname; echo x >/new; id -u; echo $$; ls -A /; echo oops >&2; exit 5"}
	c.Argv[3] = strings.NewReplacer("cat", "busybox cat", "hostname", "busybox hostname", "id -u", "busybox id -u", "ls", "busybox ls").Replace(c.Argv[3])
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader("in\n"), &out, &complaints
	err := Run(t.Context(), c)
	var exit *hosttool.ExitError
	if !errors.As(err, &exit) || exit.Code != 5 {
		t.Errorf("got %v", err)
	}
	if out.String() != "in\nbox\n0\n1\nbusybox\ndev\nnew\nproc\n" || complaints.String() != "oops\n" {
		t.Errorf("got %q and %q", &out, &complaints)
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, "upper/new")); err != nil || string(text) != "x\n" {
		t.Error(err, string(text))
	}
	if _, err := os.Lstat(filepath.Join(c.Dir, "lower/new")); err == nil {
		t.Error("the tree was changed")
	}
	c.Argv = []string{"none"}
	if err := Run(t.Context(), c); err == nil || err.Error() != "run none in the tree: there is no such program" {
		t.Errorf("got %v", err)
	}
	c.Argv, c.Dir = []string{"busybox", "true"}, c.Dir+"/none"
	if err := Run(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "enter ") {
		t.Errorf("got %v", err)
	}
}

// A command ends with the context, with all that it has started.
func TestRunEnds(t *testing.T) {
	c := box(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, signal, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Argv, c.Stdout = []string{"busybox", "sh", "-c", "trap '' TERM INT; busybox sleep 100 & echo up; wait"}, signal
	done := make(chan error)
	go func() { done <- Run(ctx, c) }()
	if _, err := ready.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	signal.Close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ready.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := ready.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("something still runs")
	}
}

// What the kernel says when it refuses is told apart from other errors, with a remedy.
func TestForbidden(t *testing.T) {
	var f *ForbiddenError
	for _, errno := range []error{unix.EPERM, unix.ENOSPC, unix.EUSERS} {
		err := forbidden(&os.PathError{Op: "fork/exec", Path: "/proc/self/exe", Err: errno})
		if !errors.As(err, &f) || !errors.Is(err, errno) || !strings.Contains(f.Hint(), "max_user_namespaces") {
			t.Errorf("got %v", err)
		}
	}
	if err := forbidden(unix.EMFILE); errors.As(err, &f) {
		t.Errorf("got %v", err)
	}
	if err := result(t.Context(), []string{"x"}, "x", refused+"mount: no", errors.New("exit")); !errors.As(err, &f) {
		t.Errorf("got %v", err)
	}
}

func TestHasIDs(t *testing.T) {
	if HasIDs(1000) {
		t.Error("an ordinary user has IDs")
	}
	m, err := mappings("uid", false, 1000, false)
	if err != nil || len(m) != 1 || m[0].ContainerID != 0 || m[0].HostID != 1000 || m[0].Size != 1 {
		t.Error(m, err)
	}
}

// A command sees directories in place of others, of which one is there and one is not; all else is as outside.
func TestRunBound(t *testing.T) {
	box(t) // needs the same
	dir := t.TempDir()
	for _, name := range []string{"there", "from"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "from/file"), []byte("seen\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("there", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "beside"), []byte("beside\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{filepath.Join(dir, "there"), "/imprint-test-of-a-new-directory", filepath.Join(dir, "new/and/deeper"), filepath.Join(dir, "link/below")} {
		var out, complaints bytes.Buffer
		b := Bound{
			Over: []Mount{{From: filepath.Join(dir, "from"), At: at}}, Env: []string{"PATH=/usr/bin:/bin", "X=y"},
			Argv: []string{"busybox", "sh", "-c", "busybox cat " + at + "/file; busybox id -u; busybox pwd; echo $X; busybox cat " + dir + "/beside; exit 3"},
			Root: HasIDs(os.Getuid()), UID: os.Getuid(), GID: os.Getgid(), Stdout: &out, Stderr: &complaints,
		}
		var exit *hosttool.ExitError
		if err := RunBound(t.Context(), b); !errors.As(err, &exit) || exit.Code != 3 {
			t.Fatalf("%s: %v\n%s", at, err, &complaints)
		}
		cwd, _ := os.Getwd()
		if want := fmt.Sprintf("seen\n%d\n%s\ny\nbeside\n", os.Getuid(), cwd); out.String() != want {
			t.Errorf("%s: %q, want %q", at, &out, want)
		}
		if _, err := os.Stat(at); err == nil && filepath.Base(at) != "there" {
			t.Errorf("%s is there outside", at)
		}
	}
	err := RunBound(t.Context(), Bound{Over: []Mount{{From: "/none", At: "/tmp"}}, Argv: []string{"true"}, UID: os.Getuid(), GID: os.Getgid()})
	if err == nil || !strings.Contains(err.Error(), "open /none") {
		t.Errorf("%v", err)
	}
}
