package sandbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

// shell runs a script in a box, and returns what it prints. Every applet of busybox is called by its name.
func shell(t *testing.T, c Command, script string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c.Argv = []string{"/busybox", "sh", "-c", "export PATH=/bin; " + script}
	c.Stdout, c.Stderr = &out, &out
	err := Run(t.Context(), c)
	return out.String(), err
}

// confined is a box with the applets of busybox in /bin.
func confined(t *testing.T) Command {
	c := box(t)
	bin := filepath.Join(c.Dir, "lower/bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cat", "mount", "umount", "unshare", "id", "ls", "sync", "chroot", "ulimit", "dd", "touch", "chown", "stat", "grep", "sleep", "echo", "hostname", "readlink"} {
		if err := os.Symlink("/busybox", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	c.Confine = &Confinement{}
	return c
}

// Files and directories are given at paths of the tree, read-only unless they are writable, and root of the sandbox cannot change that.
func TestBinds(t *testing.T) {
	c := confined(t)
	for name, text := range map[string]string{"file": "a file\n", "dir/in": "in it\n", "space/x": "x\n"} {
		path := filepath.Join(c.Dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(c.Dir, "lower/etc"), 0o755), os.Symlink("/../../etc", filepath.Join(c.Dir, "lower/link"))); err != nil { // which leads to /etc of the tree
		t.Fatal(err)
	}
	c.Binds = []Bind{{From: "file", To: "/link/one"}, {From: "dir", To: "/new/dir", Dir: true}, {From: "space", To: "/space", Dir: true, Writable: true}}
	out, err := shell(t, c, `cat /etc/one /new/dir/in; echo 2>/dev/null >/etc/one && echo wrote; touch /new/dir/y 2>/dev/null && echo wrote; echo y >/space/y
mount -o remount,rw /new/dir 2>/dev/null && echo remounted; umount /etc/one 2>/dev/null && echo unmounted; touch /etc/two && ls /etc`)
	if err != nil || out != "a file\nin it\none\ntwo\n" {
		t.Errorf("%v: %q", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, "space/y")); err != nil || string(text) != "y\n" {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "dir/y")); err == nil {
		t.Error("what is read-only has changed")
	}
	c.Binds = []Bind{{From: "none", To: "/x"}}
	if _, err := shell(t, c, "echo"); err == nil || !strings.HasPrefix(err.Error(), "mount /x: ") {
		t.Errorf("got %v", err)
	}
}

// A confined command has no new privileges, a filter, few capabilities and limits.
func TestConfine(t *testing.T) {
	c := confined(t)
	c.Confine = &Confinement{FileSize: 1 << 20, Memory: 1 << 30}
	out, err := shell(t, c, `grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/self/status; sync; unshare -m echo in 2>/dev/null; unshare -U echo in 2>/dev/null
ulimit -v; ulimit -c; dd if=/dev/zero of=/big bs=1M count=2 2>/dev/null; stat -c %s /big; echo end`)
	want := []string{"NoNewPrivs:\t1", "Seccomp:\t2", "1048576", "0", "1048576", "end"}
	if err != nil || strings.Count(out, "\n") != len(want)+1 {
		t.Fatalf("%v: %q", err, out)
	}
	for _, line := range want {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no %q in %q", line, out)
		}
	}
	if strings.Contains(out, "CapBnd:\t000001ff") || !strings.Contains(out, "CapBnd:\t00000000800405ff") {
		t.Errorf("capabilities: %q", out)
	}
}

// The filter knows each call once, ends, and jumps nowhere else.
func TestProgram(t *testing.T) {
	p := program(unix.AUDIT_ARCH_X86_64)
	seen := map[uint32]bool{}
	for i, f := range p {
		if f.Code&7 == unix.BPF_JMP && (i+1+int(f.Jt) >= len(p) || i+1+int(f.Jf) >= len(p)) {
			t.Errorf("instruction %d jumps beyond the end", i)
		}
		if f.Code == unix.BPF_JMP|unix.BPF_K|unix.BPF_JEQ && f.Jf == 1 {
			if seen[f.K] {
				t.Errorf("call %d is there twice", f.K)
			}
			seen[f.K] = true
		}
	}
	if last := p[len(p)-1]; last.Code != unix.BPF_RET|unix.BPF_K || last.K != unix.SECCOMP_RET_ALLOW {
		t.Error("it does not end")
	}
}

// Without a command everything is only set up.
func TestProbe(t *testing.T) {
	c := box(t)
	if err := Run(t.Context(), c); err != nil {
		t.Error(err)
	}
}

// The owners of files are given and taken in the namespace, whichever IDs there are.
func TestOwners(t *testing.T) {
	c := box(t)
	i := Identity{UID: os.Getuid(), GID: os.Getgid(), Root: HasIDs(os.Getuid())}
	dir := filepath.Join(c.Dir, "owned")
	for _, name := range []string{"d/f", "d/none", "top"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	var id uint32
	if i.Root {
		id = 33
	}
	given := []Owner{{Path: "d/f", UID: id, GID: id, Mode: 0o4755}, {Path: "d/none", Mode: 0}, {Path: "d", UID: id, Mode: 0o100}}
	if err := i.Give(t.Context(), dir, given); err != nil {
		t.Fatal(err)
	}
	was, err := i.Take(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Owner{}
	for _, o := range was {
		found[o.Path] = o
	}
	for _, o := range given {
		if got, listed := found[o.Path]; listed && got != o || !listed && (o.UID != 0 || o.Path != "d/f") {
			t.Errorf("%q was %v, not %v", o.Path, got, o)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "d/none")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(err, info)
	}
	if err := i.Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("it is still there")
	}
	if err := i.Give(t.Context(), dir, []Owner{{Path: "none"}}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}

// want takes the lock of those who want a job.
func want(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, WantedFile), os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	return f
}

// ended waits until a job has released its lock.
func ended(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, AliveFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A job writes its log and how it has ended.
func TestJob(t *testing.T) {
	c := confined(t)
	defer want(t, c.Dir).Close()
	for script, outcome := range map[string]string{"echo out; echo err >&2": `"Code":0`, "echo out; echo err; exit 3": `"Code":3`} {
		c.Argv = []string{"/busybox", "sh", "-c", script}
		if err := Launch(Job{Command: c, MostLog: 6}); err != nil {
			t.Fatal(err)
		}
		ended(t, c.Dir)
		if log := contents(t, c.Dir, LogFile); log != "out\ner\n[the rest of the log is not kept]\n" {
			t.Errorf("%q", log)
		}
		if status := contents(t, c.Dir, StatusFile); !strings.Contains(status, outcome) {
			t.Error(status)
		}
	}
	c.Argv = []string{"/busybox", "sleep", "100"}
	if err := Launch(Job{Command: c, MostLog: 6, Timeout: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	ended(t, c.Dir)
	if status := contents(t, c.Dir, StatusFile); !strings.Contains(status, "it took longer than 50ms") {
		t.Error(status)
	}
	c.Argv = []string{"/none"}
	if err := Launch(Job{Command: c}); err != nil {
		t.Fatal(err)
	}
	ended(t, c.Dir)
	if status := contents(t, c.Dir, StatusFile); !strings.Contains(status, "run /none in the tree") {
		t.Error(status)
	}
}

// A job goes on as long as one process wants it.
func TestJobUnwanted(t *testing.T) {
	c := confined(t)
	c.Argv = []string{"/busybox", "sleep", "100"}
	first, second := want(t, c.Dir), want(t, c.Dir)
	if err := Launch(Job{Command: c}); err != nil {
		t.Fatal(err)
	}
	if err := Launch(Job{Command: c}); err == nil || !strings.HasPrefix(err.Error(), "lock ") {
		t.Errorf("there are two: %v", err)
	}
	first.Close()
	time.Sleep(3 * between)
	if status := contents(t, c.Dir, StatusFile); strings.TrimSpace(status) != "" {
		t.Errorf("it has ended: %s", status)
	}
	second.Close()
	ended(t, c.Dir)
	if status := contents(t, c.Dir, StatusFile); !strings.Contains(status, `"Unwanted":true`) {
		t.Error(status)
	}
}

// What a job says about its end is what running the command returns.
func TestOutcome(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errUnwanted)
	if o := outcomeOf(ctx, errors.New("x")); !o.Unwanted {
		t.Error(o)
	}
	var forbidden *ForbiddenError
	if err := outcomeOf(t.Context(), &ForbiddenError{errors.New("no")}).Err(nil); !errors.As(err, &forbidden) {
		t.Error(err)
	}
	var exit *hosttool.ExitError
	if err := outcomeOf(t.Context(), &hosttool.ExitError{Code: 4, Status: "exit status 4"}).Err([]string{"x"}); !errors.As(err, &exit) || exit.Code != 4 {
		t.Error(err)
	}
	if err := (Outcome{}).Err(nil); err != nil {
		t.Error(err)
	}
}
