package demostore

import (
	"bytes"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// The kernel is a Portable Executable for the right machine, and a second store is equal to the first.
func TestSynthetic(t *testing.T) {
	for arch, m := range synthetic {
		t.Run(arch, func(t *testing.T) {
			dir := t.TempDir()
			t.Cleanup(func() {
				if err := removeAll(filepath.Join(dir, "store")); err != nil {
					t.Error(err)
				}
			})
			s, system, err := Synthetic(dir, arch)
			if err != nil {
				t.Fatal(err)
			}
			path, err := os.Readlink(s.Host(system.Path + "/kernel"))
			if err != nil {
				t.Fatal(err)
			}
			kernel, err := os.ReadFile(s.Host(path))
			if err != nil {
				t.Fatal(err)
			}
			f, err := pe.NewFile(bytes.NewReader(kernel))
			if err != nil || f.Machine != m.number {
				t.Fatalf("the kernel is not a program for %s: %v", arch, err)
			}
			if text, err := f.Sections[0].Data(); err != nil || !bytes.HasPrefix(text, noise("linux", 300_000)) {
				t.Errorf("its section has the wrong content, or cannot be read: %v", err)
			}
			first := s.Registration()
			if again, _, err := Synthetic(dir, arch); err != nil || again.Registration() != first {
				t.Errorf("a second store differs: %v", err)
			}
		})
	}
	if _, _, err := Synthetic(t.TempDir(), "m68k"); err == nil {
		t.Error("no error for an unknown architecture")
	}
}

// The shell of the archive runs, and writes what it is to write; where it cannot, it fails.
func TestWriter(t *testing.T) {
	if runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		t.Skip("needs x86_64")
	}
	dir := t.TempDir()
	for path, works := range map[string]bool{filepath.Join(dir, "made"): true, filepath.Join(dir, "none/made"): false} {
		program := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(program, writer(path, "a text\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := exec.Command(program).Run(); (err == nil) != works {
			t.Errorf("%s: %v", path, err)
		}
		if text, err := os.ReadFile(path); works && (err != nil || string(text) != "a text\n") {
			t.Errorf("%q, %v", text, err)
		}
	}
}
