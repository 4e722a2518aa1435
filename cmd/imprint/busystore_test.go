package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
)

// checkBusy plans images from a store to which another program writes without a pause, hundreds of transactions a second: the plans are the
// same as at rest, for root and for everybody who can read the store.
func checkBusy(t *testing.T, s *nixtest.Source, description string) {
	program := buildProgram(t)
	for _, dir := range []string{filepath.Dir(filepath.Dir(s.Root)), filepath.Dir(s.Root), s.Root} { // a temporary directory of the test
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(public(t), "image.toml")
	writeFile(t, file, description)
	plan := func(uid uint32) string {
		t.Helper()
		cmd := exec.Command(program, "plan", file)
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		}
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("plan as user %d: %v\n%s", uid, err, err.(*exec.ExitError).Stderr)
		}
		return string(out)
	}
	want := plan(0)
	transactions, start := writeSteadily(t, filepath.Join(s.Root, "nix/var/nix/db/db.sqlite")), time.Now()
	for range 5 {
		for _, uid := range []uint32{0, 65534} {
			if got := plan(uid); got != want {
				t.Errorf("user %d, while others write:\n%s\nat rest:\n%s", uid, got, want)
			}
		}
	}
	if n, spent := transactions.Load(), time.Since(start); n < 100 {
		t.Errorf("%d transactions in %v, which is not busy", n, spent)
	}
}

// writeSteadily has the sqlite3 program change all items of a database in one transaction after the other until the end of the test, and write
// its log back now and then. It returns how many it has got so far.
func writeSteadily(t *testing.T, db string) *atomic.Int64 {
	hosttest.Need(t, "sqlite3")
	cmd := exec.Command("sqlite3", "-cmd", ".timeout 20000", db)
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	count, stop := &atomic.Int64{}, make(chan struct{})
	go func() {
		defer in.Close()
		fmt.Fprintln(in, "pragma synchronous = off; pragma wal_autocheckpoint = 50;")
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(in, "begin immediate; update ValidPaths set registrationTime = registrationTime + 1; commit;\n"); err != nil {
				t.Error(err)
				return
			}
			count.Store(n)
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the writer: %v", err)
		}
	})
	return count
}
