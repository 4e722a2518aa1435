package nixtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

// A Store is an empty store of its own, in which Nix builds.
type Store struct {
	Root string // the directory that holds nix/store and nix/var/nix
	nix  nix
}

// NewStore makes a store for the test.
func NewStore(t testing.TB) *Store {
	t.Helper()
	root := filepath.Join(tempDir(t), "store")
	return &Store{root, newNix(t, root)}
}

// Build runs nix-build with arguments and returns the store path of the result.
func (s *Store) Build(t testing.TB, args ...string) string {
	t.Helper()
	return strings.TrimSpace(s.nix.must(t, "nix-build", append([]string{"--quiet", "--no-out-link"}, args...)...))
}

// ClosureInfo returns the registration of the closure of a store path in the form of nixpkgs' closureInfo: without derivers, and with the NAR
// hashes that nix-store --query prints.
func (s *Store) ClosureInfo(t testing.TB, root string) string {
	t.Helper()
	query := func(what, path string) []string {
		t.Helper()
		return strings.Fields(s.nix.must(t, "nix-store", "--query", what, path))
	}
	var b strings.Builder
	for _, path := range query("--requisites", root) {
		references := query("--references", path)
		fmt.Fprintf(&b, "%s\n%s\n%s\n\n%d\n", path, query("--hash", path)[0], query("--size", path)[0], len(references))
		for _, r := range references {
			b.WriteString(r + "\n")
		}
	}
	return b.String()
}

// Closure returns the closure of store paths, references first.
func (s *Store) Closure(t testing.TB, roots ...string) []string {
	t.Helper()
	return strings.Fields(s.nix.must(t, "nix-store", append([]string{"--query", "--requisites"}, roots...)...))
}

// Nix runs a command of Nix's on the store, and returns its output without space at the ends.
func (s *Store) Nix(t testing.TB, command string, args ...string) string {
	t.Helper()
	return strings.TrimSpace(s.nix.must(t, command, args...))
}

// OpenStore is a store of Nix below a directory, whether something is there or not.
func OpenStore(t testing.TB, root string) *Store {
	t.Helper()
	return &Store{root, newNix(t, root)}
}

// Alone is [Store.Nix] for a command that sees no other process.
func (s *Store) Alone(t testing.TB, command string, args ...string) string {
	t.Helper()
	return strings.TrimSpace(s.nix.alone().must(t, command, args...))
}

// Sound fails the test unless Nix finds the store sound, without changing anything.
func (s *Store) Sound(t testing.TB) {
	t.Helper()
	before := s.nix.must(t, "nix-store", "--dump-db")
	out, complaints, err := s.nix.run("nix-store", "--verify", "--check-contents")
	for _, bad := range []string{"modified!", "disappeared", "not in the Nix store", "updating size", "fixing missing", "error:"} {
		if strings.Contains(out+complaints, bad) || err != nil {
			t.Errorf("nix-store --verify --check-contents: %v: %s%s", err, out, complaints)
			break
		}
	}
	if after := s.nix.must(t, "nix-store", "--dump-db"); after != before {
		t.Errorf("Nix has changed the registration:\n%s\nto\n%s", before, after)
	}
}

// Daemon starts a daemon for the store, which ends with the test, and returns its socket.
func (s *Store) Daemon(t testing.TB) string {
	t.Helper()
	hosttest.Need(t, "nix-daemon")
	s.nix.must(t, "nix-store", "--init") // else two clients at once make its directories, and one of them loses its connection
	state := filepath.Join(s.Root, "nix/var/nix")
	cmd := s.nix.command("nix-daemon")
	cmd.Env = append(cmd.Env, "NIX_STATE_DIR="+state)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serving := childrenOf(cmd.Process.Pid)
		cmd.Process.Kill()
		cmd.Wait()
		for _, pid := range serving {
			end(t, pid)
		}
	})
	socket := filepath.Join(state, "daemon-socket/socket")
	for range 2000 {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return socket
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the daemon does not listen")
	return ""
}

// childrenOf returns the children of a process: those of a daemon serve a connection each, and go on without it.
func childrenOf(pid int) (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, word := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(word); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// end kills a process that is not a child, and waits until it has no file open any more.
func end(t testing.TB, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGKILL)
	for range 2000 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, _ := strings.Cut(string(text), ") "); err != nil || strings.HasPrefix(state, "Z") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("process %d does not end", pid)
}
