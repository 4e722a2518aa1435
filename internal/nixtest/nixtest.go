// Package nixtest makes closures with Nix, and has Nix judge the store of an image. It is for tests.
//
// It does not touch the store of the machine: every store is below a directory and is opened as a "chroot store", whose store paths
// are the usual ones below /nix/store.
package nixtest

import (
	_ "embed" // closure.nix
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/demostore/demotest"
)

//go:embed closure.nix
var expression []byte

// Options choose what a closure contains.
type Options struct {
	Large   bool // an item with a file of 110 MB, most of it a hole
	Newline bool // a file name that contains a newline
	ForISO  bool // no names and link targets that an ISO cannot hold
}

// A Source is a store that Nix has made: about 270 items of every kind.
type Source struct {
	Root       string // the directory that holds nix/store and nix/var/nix
	System     string // store path of a system that boots, like demostore's, and refers to nearly everything
	Extra      string // a second root, which shares items with the system
	Derivation string // a .drv file, whose closure is its build-time dependencies
	nix        nix
}

// Copy copies all items to a store that a URL names.
func (s *Source) Copy(t testing.TB, to string) {
	t.Helper()
	s.nix.must(t, "nix", "copy", "--all", "--no-check-sigs", "--to", to)
}

// Make builds a closure, as root or as an ordinary user. Nix builds in its sandbox, in namespaces of its own.
func Make(t testing.TB, o Options) *Source {
	t.Helper()
	dir := tempDir(t)
	parts := filepath.Join(dir, "parts")
	if err := demotest.Need(t).Write(parts); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "closure.nix")
	if err := os.WriteFile(file, expression, 0o600); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "source")
	s := &Source{Root: root, nix: newNix(t, root)}
	args := []string{
		file, "--quiet", "--arg", "parts", parts,
		"--arg", "large", strconv.FormatBool(o.Large), "--arg", "newline", strconv.FormatBool(o.Newline),
		"--arg", "odd", strconv.FormatBool(!o.ForISO),
	}
	build := func(attribute string) string {
		t.Helper()
		return strings.TrimSpace(s.nix.must(t, "nix-build", append(args, "--no-out-link", "-A", attribute)...))
	}
	s.System, s.Extra = build("system"), build("extra")
	s.Derivation = strings.TrimSpace(s.nix.must(t, "nix-instantiate", append(args, "-A", "outputs")...))
	s.Derivation, _, _ = strings.Cut(s.Derivation, "!")
	s.sign(t, filepath.Join(dir, "key"))
	return s
}

// sign signs the system's closure with a new key.
func (s *Source) sign(t testing.TB, key string) {
	t.Helper()
	secret := s.nix.must(t, "nix", "key", "generate-secret", "--key-name", "imprint-test-1")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.nix.must(t, "nix", "store", "sign", "--key-file", key, "--recursive", s.System)
}

// Registration returns the registration of the closure of the roots, as nix-store --dump-db prints it.
func (s *Source) Registration(t testing.TB, roots ...string) string {
	t.Helper()
	return s.nix.must(t, "nix-store", append([]string{"--dump-db"}, s.Closure(t, roots...)...)...)
}

// Closure returns the closure of the roots, references first.
func (s *Source) Closure(t testing.TB, roots ...string) []string {
	t.Helper()
	return strings.Fields(s.nix.must(t, "nix-store", append([]string{"--query", "--requisites"}, roots...)...))
}

// tempDir returns a temporary directory that is removed at the end of the test even if it has read-only directories.
func tempDir(t testing.TB) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}
