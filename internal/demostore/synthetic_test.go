package demostore

import (
	"bytes"
	"debug/pe"
	"os"
	"path/filepath"
	"testing"
)

// Its programs are Portable Executables of the right machine, and a second store is equal.
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
			kernel, err := os.ReadFile(s.Host(readlink(t, s.Host(system.Path+"/kernel"))))
			if err != nil {
				t.Fatal(err)
			}
			f, err := pe.NewFile(bytes.NewReader(kernel))
			if err != nil || f.Machine != m.number {
				t.Fatalf("the kernel is no program for %s: %v", arch, err)
			}
			if text, err := f.Sections[0].Data(); err != nil || !bytes.HasPrefix(text, noise("linux", 300_000)) {
				t.Errorf("its section is not what it should be: %v", err)
			}
			first := s.Registration()
			if again, _, err := Synthetic(dir, arch); err != nil || again.Registration() != first {
				t.Errorf("a second store differs: %v", err)
			}
		})
	}
	if _, _, err := Synthetic(t.TempDir(), "m68k"); err == nil {
		t.Error("there is a store for an unknown architecture")
	}
}
