package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
)

// Nix builds an image inside a derivation with nix/make-image.nix. It is the same image as one that is built outside.
func TestNixFunction(t *testing.T) {
	s, dir := nixtest.NewStore(t), t.TempDir()
	parts := filepath.Join(dir, "parts")
	if err := demotest.Need(t).Write(parts); err != nil {
		t.Fatal(err)
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"testdata/nix/image.nix", "--arg", "repository", repository, "--arg", "parts", parts, "--arg", "program", staticProgram(t, dir)}
	system := s.Build(t, append(args, "-A", "system")...)
	registration := filepath.Join(dir, "registration")
	writeFile(t, registration, s.ClosureInfo(t, system))
	built := filepath.Join(s.Root, s.Build(t, append(args, "-A", "image", "--arg", "registration", registration)...))

	writeFile(t, filepath.Join(dir, "image.nix"), string(read(t, "testdata/nix/image.nix")))
	outside := filepath.Join(dir, "image.toml")
	writeFile(t, outside, fmt.Sprintf(outsideDescription, s.Root, registration, system))
	imprint(t, "build", outside, "-o", filepath.Join(dir, "nix.raw"), "--sha256")
	got, want := manifestOf(t, filepath.Join(built, "nix.raw")), manifestOf(t, filepath.Join(dir, "nix.raw"))
	if got.Seed != want.Seed || got.SHA256 != want.SHA256 || got.SHA256 == "" {
		t.Errorf("the image has seed %s and SHA-256 %s, outside of Nix %s and %s", got.Seed, got.SHA256, want.Seed, want.SHA256)
	}

	files := filepath.Join(s.Root, s.Build(t, append(args, "-A", "outputs")...))
	list, err := os.ReadDir(files)
	if names := fmt.Sprint(list); err != nil || names != "[- files.tar - out.qcow2 - out.qcow2.json]" {
		t.Errorf("the outputs are %s, %v", names, err)
	}
	if got := imprint(t, "cat", filepath.Join(files, "out.qcow2"), "/etc/flake"); got != string(read(t, "testdata/nix/image.nix")) {
		t.Errorf("/etc/flake has %d bytes", len(got))
	}
}

// outsideDescription is the description in testdata/nix/image.nix. Its arguments are the directory and the registration of the store, and the root.
const outsideDescription = `
name = "nix"
arch = "x86_64"
[[source]]
path = %q
registration = %q
[[closure]]
name = "system"
roots = [%q]
profile = "system"
[boot]
loader = "none"
system = "${closure.system}"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "16MiB"
closures = ["system"]
[[partition.file]]
path = "/etc/text"
text = "tab\tquote\" back\\slash\nEND OF DESCRIPTION\n"
[[partition.file]]
path = "/etc/flake"
source = "image.nix"
`

// staticProgram builds imprint as releases have it, in a directory like a package of Nix's, and returns that.
func staticProgram(t *testing.T, dir string) string {
	t.Helper()
	t.Setenv("CGO_ENABLED", "0")
	program := filepath.Join(dir, "program")
	hosttest.Run(t, "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(program, "bin/imprint"), ".")
	return program
}

// manifestOf reads the manifest of an image.
func manifestOf(t *testing.T, image string) (m struct{ Seed, SHA256 string }) {
	t.Helper()
	if err := json.Unmarshal(read(t, image+".json"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}
