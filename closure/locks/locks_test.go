package locks

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

func state(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"temproots", "gc-socket"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The file of a program is locked, has its roots, and is shared by its parts until the last one closes it.
func TestTempRoots(t *testing.T) {
	hosttest.Need(t, "flock")
	dir, ctx := state(t), t.Context()
	name := filepath.Join(dir, "temproots", strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(name, []byte("/nix/store/of-an-earlier-process\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := OpenTempRoots(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenTempRoots(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{first.Add(ctx, []string{"a", "b"}), second.Add(ctx, []string{"b", "c"}), first.Add(ctx, []string{"a"}), first.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if text, err := os.ReadFile(name); string(text) != "a\x00b\x00c\x00" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if exec.Command("flock", "-n", "-s", name, "true").Run() == nil {
		t.Error("the file is not locked")
	}
	if held, err := Held(dir); err != nil || strings.Join(held[strconv.Itoa(os.Getpid())], " ") != "a b c" {
		t.Errorf("%q, %v", held, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := OpenTempRoots(ctx, filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// Files of programs that have ended, or that are no files of roots, hold nothing.
func TestHeldStale(t *testing.T) {
	dir := state(t)
	for _, name := range []string{"1", "x"} {
		os.WriteFile(filepath.Join(dir, "temproots", name), []byte("/nix/store/a\x00"), 0o600)
	}
	os.Symlink("/etc/passwd", filepath.Join(dir, "temproots/2"))
	if held, err := Held(dir); len(held) > 0 || err != nil {
		t.Errorf("%q, %v", held, err)
	}
	if held, err := Held(filepath.Join(dir, "none")); len(held) > 0 || err != nil {
		t.Errorf("%q, %v", held, err)
	}
}

// A collection that is running is told of new roots, on its socket; one that does not listen is waited for.
func TestCollection(t *testing.T) {
	hosttest.Need(t, "flock")
	dir := state(t)
	release := hold(t, filepath.Join(dir, "gc.lock"))
	r, err := OpenTempRoots(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := r.Add(short, []string{"early"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "gc-socket/socket"))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string)
	go func() {
		defer close(heard)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 100)
			n, _ := c.Read(b)
			c.Write([]byte("1"))
			c.Close()
			heard <- string(b[:n])
		}
	}()
	for _, tell := range []func(context.Context, []string) error{r.Add, r.Announce} { // twice the same: it is held, and has a root now
		told := make(chan error)
		go func() { told <- tell(t.Context(), []string{"/nix/store/x"}) }()
		if got := <-heard; got != "/nix/store/x\n" {
			t.Errorf("%q", got)
		}
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	l.Close()
	added := make(chan error)
	go func() { added <- r.Add(t.Context(), []string{"/nix/store/y"}) }()
	release()
	if err := <-added; err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(r.file.Name()); string(text) != "/nix/store/x\x00/nix/store/y\x00" {
		t.Errorf("%q, %v", text, err)
	}
}

// hold has another program lock a file.
func hold(t *testing.T, name string) (release func()) {
	t.Helper()
	c := exec.Command("flock", name, "sh", "-c", "echo locked; cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	return func() { in.Close(); c.Wait() }
}

// Only one at a time has the lock of a path, whose file is gone at the end, and whoever has removed it meanwhile makes no difference.
func TestPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "item")
	var inside atomic.Int32
	done := make(chan error)
	for range 20 {
		go func() {
			release, err := Path(context.Background(), path)
			if err == nil {
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				inside.Add(-1)
				release()
			}
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	shared, err := Share(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if again, err := Share(t.Context(), path); err != nil {
		t.Error(err)
	} else {
		again.Close()
	}
}
