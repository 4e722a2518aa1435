// Package demotest finds the parts of demostore's systems for tests.
package demotest

import (
	"os"
	"path/filepath"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/hosttest"
)

// Need returns the parts of an x86-64 system; without them it skips or fails the test, as [hosttest.Need] does.
func Need(t testing.TB) demostore.Parts {
	t.Helper()
	unpacked := filepath.Join(moduleRoot(t), "build/kernel")
	p, err := demostore.HostParts(unpacked)
	if err != nil {
		t.Log(err)
		hosttest.NeedFile(t, unpacked, "/bin/busybox")
		t.Fatal(err)
	}
	return p
}

// NeedArm returns the parts of an aarch64 system; without them it skips or fails the test, as [hosttest.Need] does.
func NeedArm(t testing.TB) demostore.Parts {
	t.Helper()
	dir := filepath.Join(moduleRoot(t), "build/arm64")
	hosttest.NeedFile(t, dir)
	p, err := demostore.ArmParts(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// moduleRoot is the directory of go.mod, at or above the test's working directory.
func moduleRoot(t testing.TB) string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the working directory ", err)
	return ""
}
