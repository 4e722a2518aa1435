package hosttool

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

func run(t *testing.T, c Command) Result {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEnvironmentIsFixed(t *testing.T) {
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("MKE2FS_CONFIG", "/somewhere")
	t.Setenv("SOURCE_DATE_EPOCH", "77")
	t.Setenv("PATH", "relative:/usr/bin:/bin")
	got := strings.Fields(string(run(t, Command{Name: "env", Env: []string{"MORE=1"}}).Output))
	want := []string{"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/sbin", "MORE=1"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	r := run(t, Command{Name: "sh", Args: []string{"-c", "cat; pwd; echo oops >&2"}, Stdin: strings.NewReader("in\n"), Dir: dir})
	if string(r.Output) != "in\n"+dir+"\n" || string(r.Stderr) != "oops\n" {
		t.Errorf("got %q and %q", r.Output, r.Stderr)
	}
	r = run(t, Command{Name: "sh", Args: []string{"-c", "echo a; echo b >&2; echo c"}, Merge: true})
	if string(r.Output) != "a\nb\nc\n" || r.Stderr != nil {
		t.Errorf("merged: got %q and %q", r.Output, r.Stderr)
	}
}

func TestExitError(t *testing.T) {
	r, err := Run(t.Context(), Command{Name: "sh", Args: []string{"-c", "echo out; echo 'bad  thing' >&2; exit 3"}})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 3 || string(r.Output) != "out\n" {
		t.Fatalf("got %v and %q", err, r.Output)
	}
	want := "run sh -c \"echo out; echo 'bad  thing' >&2; exit 3\": exit status 3\nbad  thing"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	_, err = Run(t.Context(), Command{Name: "sh", Args: []string{"-c", "echo both; kill -9 $$"}, Merge: true})
	if !errors.As(err, &exit) || exit.Code != -1 || !strings.Contains(err.Error(), "signal: killed\nboth") {
		t.Errorf("got %v", err)
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"-E": "-E", "a b": "'a b'", "": "''", "it's": `"it's"`, "it's $5": `'it'\''s $5'`, "a\nb": `"a\nb"`, "disk.img?offset=1": "'disk.img?offset=1'", "\xff": `"\xff"`,
	} {
		if got := ShellWord(word); got != want {
			t.Errorf("ShellWord(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	start := time.Now()
	r, err := Run(t.Context(), Command{Name: "yes", Limit: 10000})
	if err == nil || !strings.Contains(err.Error(), "more than 10000 bytes") || len(r.Output) > 10000 {
		t.Errorf("%d bytes, %v", len(r.Output), err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it ran for %v", d)
	}
	r = run(t, Command{Name: "sh", Args: []string{"-c", "seq 1 100000 >&2"}})
	if len(r.Stderr) != tailSize || !strings.HasSuffix(string(r.Stderr), "99999\n100000\n") {
		t.Errorf("the tail has %d bytes: …%q", len(r.Stderr), lastBytes(r.Stderr, 20))
	}
}

// A cancelled context ends a program together with the children that it started.
func TestCancelKillsTheGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pidFile := filepath.Join(t.TempDir(), "pid")
	done := make(chan error)
	go func() {
		_, err := Run(ctx, Command{Name: "sh", Args: []string{"-c", `sleep 100 & echo $! >"$0.tmp"; mv "$0.tmp" "$0"; wait`, pidFile}})
		done <- err
	}()
	child := waitForPID(t, pidFile)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waitForEnd(t, child)
}

// A program does not outlive a caller that is killed.
func TestKilledCaller(t *testing.T) {
	const variable = "HOSTTOOL_TEST_PID_FILE"
	if file := os.Getenv(variable); file != "" { // in the caller
		Run(t.Context(), Command{Name: "sh", Args: []string{"-c", `echo $$ >"$0.tmp"; mv "$0.tmp" "$0"; exec sleep 100`, file}})
		return
	}
	file := filepath.Join(t.TempDir(), "pid")
	caller := exec.Command(os.Args[0], "-test.run=^TestKilledCaller$")
	caller.Env = append(os.Environ(), variable+"="+file)
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	child := waitForPID(t, file)
	caller.Process.Kill()
	caller.Wait()
	waitForEnd(t, child)
}

// waitForEnd fails the test when a process does not end.
func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	for range 100 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

func waitForPID(t *testing.T, file string) int {
	t.Helper()
	for range 500 {
		if text, err := os.ReadFile(file); err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the program did not start")
	return 0
}

// zombie reports whether a process has ended, and waits for its parent to notice.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestCancelledBeforeStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mark := filepath.Join(t.TempDir(), "mark")
	if _, err := Run(ctx, Command{Name: "touch", Args: []string{mark}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", "")
	saved := systemDirs
	systemDirs = []string{t.TempDir()}
	defer func() { systemDirs = saved }()
	for tool, want := range map[string]string{"debugfs": "Debian has it in the package e2fsprogs", "./debugfs": "no such program", "zork": "no such program"} {
		_, err := Run(t.Context(), Command{Name: tool})
		var missing *MissingError
		if !errors.Is(err, ErrMissing) || !errors.As(err, &missing) || missing.Tool != tool || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", tool, err)
		}
	}
	if _, err := Version(t.Context(), "debugfs"); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v", err)
	}
}

func TestFindOutsidePATH(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	saved, dir := systemDirs, t.TempDir()
	systemDirs = []string{dir}
	defer func() { systemDirs = saved }()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := Find("tool"); err != nil || path != filepath.Join(dir, "tool") {
		t.Errorf("got %q, %v", path, err)
	}
	if path, err := Find("data"); err == nil {
		t.Errorf("got %q, which is not executable", path)
	}
}

func TestVersions(t *testing.T) {
	for _, tool := range Tools() {
		t.Run(tool.Name, func(t *testing.T) {
			hosttest.Need(t, tool.Name)
			got, err := Version(t.Context(), tool.Name)
			if err != nil || !versionNumber.MatchString(got) {
				t.Errorf("got %q, %v", got, err)
			}
			t.Log(tool.Name, got)
		})
	}
	if _, err := Version(t.Context(), "rm"); err == nil {
		t.Error("a program that is not in the table was run")
	}
}
