// Package nixtest makes closures with the real Nix, and has the real Nix judge the store of an image. It is for tests.
//
// Nothing of it touches the machine's own store: every store lies below a directory and is opened as a "chroot store", in which paths
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

	"imprint/internal/demostore"
)

//go:embed closure.nix
var expression []byte

// Options leave things out of a closure, or put them in.
type Options struct {
	Large   bool // an item with a file of 110 MB, most of it a hole
	Newline bool // a file name with a newline in it
	ForISO  bool // no names and link targets that an ISO does not carry
}

// A Source is a store that Nix has made: some 270 items of every kind.
type Source struct {
	Root       string // the directory under which nix/store and nix/var/nix lie
	System     string // store path of a system that boots and refers to nearly everything, as demostore's does
	Extra      string // a second root, which shares items with the system
	Derivation string // a .drv file, whose closure is what it is made from
	nix        nix
}

// Make builds a closure, as root or as an ordinary user. Nix builds in its sandbox, in namespaces of its own.
func Make(t testing.TB, o Options) *Source {
	t.Helper()
	dir := tempDir(t)
	parts := filepath.Join(dir, "parts")
	if err := demostore.Need(t).Write(parts); err != nil {
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

// sign gives the system's closure a signature by a key made for it.
func (s *Source) sign(t testing.TB, key string) {
	t.Helper()
	secret := s.nix.must(t, "nix", "key", "generate-secret", "--key-name", "imprint-test-1")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.nix.must(t, "nix", "store", "sign", "--key-file", key, "--recursive", s.System)
}

// Registration is the text by which Nix would register the closure of the given roots elsewhere: nix-store --dump-db.
func (s *Source) Registration(t testing.TB, roots ...string) string {
	t.Helper()
	return s.nix.must(t, "nix-store", append([]string{"--dump-db"}, s.Closure(t, roots...)...)...)
}

// Closure is all that the roots refer to, in Nix's order: references first.
func (s *Source) Closure(t testing.TB, roots ...string) []string {
	t.Helper()
	return strings.Fields(s.nix.must(t, "nix-store", append([]string{"--query", "--requisites"}, roots...)...))
}

// tempDir is a directory of the test that is removed at its end although there are read-only directories in it.
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
