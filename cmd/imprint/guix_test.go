package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/guixtest"
	"imprint/internal/hosttest"
)

// A store of another flavor than the description's is an error that says so, wherever the store is; and so is a system that is not one of Guix.
func TestFlavorMistakes(t *testing.T) {
	dir := public(t)
	_, system, err := demostore.GuixSynthetic(dir, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	const (
		partition = "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"system\"]\nfree = \"1MiB\"\n"
		esp       = "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nfilesystem = \"fat\"\n"
		guix      = "[store]\nflavor = \"guix\"\n"
		nix       = "[store]\nflavor = \"nix\"\n"
	)
	described := func(name, store, source, root, more string) string {
		text := "name = \"x\"\narch = \"x86_64\"\n" + store + "[[source]]\n" + source + "\n[[closure]]\nname = \"system\"\nprofile = \"system\"\nroots = [\"" + root + "\"]\n" + more
		writeFile(t, filepath.Join(dir, name), text)
		return name
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command("imprint", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("build", described("good.toml", guix, `path = "store"`, "system", partition), "-o", "guix.raw"); err != nil {
		t.Fatal(out)
	}
	libc := ""
	for _, item := range readDir(t, filepath.Join(dir, "store", demostore.Guix)) {
		if strings.HasSuffix(item, "-libc-1.0") {
			libc = demostore.Guix + "/" + item
		}
	}
	boot := "[boot]\nloader = \"systemd-boot\"\nsystem = \"${closure.system}\"\n" + esp + partition
	for name, c := range map[string]struct{ file, want string }{
		"database": {described("database.toml", nix, `path = "store"`, "system", partition),
			"db.sqlite: no such file or directory\nhint: there is a store of Guix: flavor = \"guix\" in [store]\n"},
		"registration": {described("registration.toml", nix, "path = \"store\"\nregistration = \"registration\"", "system", partition),
			`-system" does not start with /nix/store/: it is one of flavor "guix"` + "\n"},
		"image": {described("image.toml", nix, `image = "guix.raw"`, system.Path, partition),
			"there is no /nix/var/nix/db/db.sqlite in \"root\"\nhint: there is a store of Guix: flavor = \"guix\" in [store]\n"},
		"system": {described("system.toml", guix, `path = "store"`, libc, boot), libc + " has no parameters, so it is not a Guix system\n"},
		"gc-roots": {described("gc-roots.toml", guix, "path = \"store\"", "system", partition+"[[closure]]\nname = \"a\"\nroots = [\"system\"]\n"+
			"gc-roots = [\"/var/guix/gcroots/booted-system\"]\n"), "gc-roots[0]: /var/guix/gcroots/booted-system is reserved for Guix or imprint\n"},
	} {
		if out, err := run("plan", c.file); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s, want %s", name, err, out, c.want)
		}
	}
	// The image is a source, too.
	if out, err := run("build", described("again.toml", guix, `image = "guix.raw"`, "/var/guix/profiles/system", partition), "-o", "again.raw"); err != nil {
		t.Error(out)
	}
	if out, err := run("diff", "guix.raw", "again.raw"); err != nil {
		t.Error(out)
	}
}

func readDir(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A server of substitutes, as guix publish is one, makes the same image as the store that it publishes: items come in lzip where there is nothing else, and in
// zstd, signed by the key that the description trusts. The second time nothing is asked for.
func TestGuixPublish(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "lzip")
	dir := public(t)
	store, system, err := demostore.GuixSynthetic(dir, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	p := guixtest.New(t, store)
	var mu sync.Mutex
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
		p.ServeHTTP(a, r)
	}))
	defer s.Close()
	build := func(name, source string) ([]byte, string, error) {
		writeFile(t, filepath.Join(dir, "image.toml"), fmt.Sprintf(`name = "x"
arch = "x86_64"
[store]
flavor = "guix"
[[source]]
%s
[[closure]]
name = "system"
profile = "system"
roots = [%q]
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
`, source, system.Path))
		image := filepath.Join(dir, name)
		out, err := exec.Command("imprint", "build", filepath.Join(dir, "image.toml"), "-o", image, "--no-sync", "--build-store", filepath.Join(dir, "keep-"+name)).CombinedOutput()
		if err != nil {
			return nil, string(out), err
		}
		return read(t, image), string(out), nil
	}
	must := func(name, source string) []byte {
		t.Helper()
		content, out, err := build(name, source)
		if err != nil {
			t.Fatal(out)
		}
		return content
	}
	want := must("store.raw", `path = "store"`)
	trusted := fmt.Sprintf("url = %q\ntrusted-public-keys = [%q]", s.URL, guixtest.Key)
	for round := range 2 {
		if got := must("published.raw", trusted); !bytes.Equal(got, want) {
			t.Errorf("round %d: another image than from the store", round)
		}
		if round > 0 && len(asked) > 0 {
			t.Errorf("asked for %q again", asked)
		}
		byLzip, byZstd := 0, 0
		for _, name := range asked {
			byLzip += strings.Count(name, "/nar/lzip/")
			byZstd += strings.Count(name, "/nar/zstd/")
		}
		if n := len(store.Items()); round == 0 && (byLzip > 1 || byZstd+byLzip > n || byZstd == 0) {
			t.Errorf("fetched %d archives in lzip, %d in zstd, of %d items", byLzip, byZstd, n)
		}
		asked = nil
	}
	const other = "(public-key (ecc (curve Ed25519) (q #80EF9500518071AF762EBDA55BAE04B2DEB5812026CACF0CBC6A54D865F57087#)))"
	for what, c := range map[string]struct {
		source string
		text   func(string) string
		want   string
	}{
		"another key": {fmt.Sprintf("url = %q\ntrusted-public-keys = [%q]", s.URL, other), nil, "is signed by \"Guix's "},
		"no key":      {fmt.Sprintf("url = %q", s.URL), nil, "trusted-public-keys"},
		"changed text": {trusted, func(text string) string { return strings.Replace(text, "NarSize: ", "NarSize: 1", 1) },
			"by \"Guix's B350F572…\" is not valid"},
	} {
		p.Text = c.text
		if _, out, err := build(strings.ReplaceAll(what, " ", "-"), c.source); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s, want %s", what, err, out, c.want)
		}
	}
}
