// Package hosttest is for tests that need something of the host, such as tools that not every machine has.
package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Need skips the test if a host tool is missing. With IMPRINT_REQUIRE_TOOLS=1, as in CI, it fails the test instead.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			Missing(t, "needs the host tool "+tool)
		}
	}
}

// NeedFile is Need for files, such as firmware.
func NeedFile(t testing.TB, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			Missing(t, "needs the file "+p)
		}
	}
}

// NeedRoot skips the test for ordinary users. It never fails, since tests may run as one.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// Missing skips the test for want of something on the host, or fails it, as Need does.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("IMPRINT_REQUIRE_TOOLS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Run runs a host tool and returns its output, standard error included. If the tool fails, so does the test.
func Run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	Need(t, tool)
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

// Find returns the path of a host tool in PATH, /usr/sbin or /sbin; a user's PATH may lack the latter.
func Find(t testing.TB, tool string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + tool); err == nil {
			return path
		}
	}
	Missing(t, "needs the host tool "+tool)
	return ""
}

// Mounted makes a file system of 400 MiB with a host tool such as mkfs.xfs, mounts it for the test and returns the directory. It skips the
// test if it cannot mount it.
func Mounted(t testing.TB, mkfs string) string {
	t.Helper()
	NeedRoot(t)
	Need(t, "mount", "umount")
	tool := Find(t, mkfs)
	device, dir := filepath.Join(t.TempDir(), "device"), t.TempDir()
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(device, 400<<20); err != nil {
		t.Fatal(err)
	}
	Run(t, tool, device)
	if out, err := exec.Command("mount", "-o", "loop", device, dir).CombinedOutput(); err != nil {
		t.Skipf("this machine cannot mount it: %s", out)
	}
	t.Cleanup(func() { Run(t, "umount", dir) })
	return dir
}
