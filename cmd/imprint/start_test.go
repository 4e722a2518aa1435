package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What init writes for a kind of user can be built as it is, without a warning, given what it names.
func TestInitKinds(t *testing.T) {
	tools, err := filepath.Abs("testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	for kind, c := range map[string]struct{ result, image string }{
		"nixos": {"nixos-2", "nixos.raw"}, "iso": {"system", "live.iso"}, "tree": {"system", "debian.raw"},
	} {
		t.Run(kind, func(t *testing.T) {
			dir := docsWorld(t)
			run := func(args ...string) string {
				cmd := exec.Command("imprint", args...)
				cmd.Dir, cmd.Env = dir, []string{"PATH=" + tools + ":" + os.Getenv("PATH")}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("imprint %q: %v\n%s", args, err, out)
				}
				return string(out)
			}
			system, err := os.Readlink(filepath.Join(dir, c.result))
			if err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(dir, "result"))
			if err := os.Symlink(system, filepath.Join(dir, "result")); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "image.toml")
			if said := run("init", "--"+kind, file); !strings.HasPrefix(said, file+": ") {
				t.Errorf("init says %q", said)
			}
			text := block{language: "toml", text: string(read(t, file))}
			writeFile(t, file, text.inWorld()) // with the store of the test
			if said := run("build", file); strings.Contains(said, "warning") || !strings.Contains(said, c.image+": ") {
				t.Errorf("build says\n%s", said)
			}
			run("verify", filepath.Join(dir, c.image))
		})
	}
}
