package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/demostore"
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
