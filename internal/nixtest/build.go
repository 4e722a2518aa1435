package nixtest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
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
