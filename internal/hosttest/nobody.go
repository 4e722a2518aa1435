package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// nobody is the ID of an ordinary user that every host has.
const nobody = "65534"

// AsNobody returns a shell's command that runs in a directory as an ordinary user, whose the directory is then. The user has 65,536 subordinate IDs if many is
// true, or none. It takes root, and skips the test without.
func AsNobody(t testing.TB, dir, script string, many bool) *exec.Cmd {
	t.Helper()
	Need(t, "unshare", "setpriv", "newuidmap")
	if os.Getuid() != 0 || exec.Command("unshare", "--mount", "true").Run() != nil {
		t.Skip("needs root")
	}
	given := t.TempDir()
	as := `exec setpriv --reuid ` + nobody + ` --regid ` + nobody + ` --clear-groups sh -c "$0"`
	for _, name := range []string{"subuid", "subgid"} {
		text := ""
		if many {
			text = nobody + ":200000:65536\n"
		}
		if err := os.WriteFile(filepath.Join(given, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("/etc/" + name); err != nil {
			t.Skipf("there is no /etc/%s", name)
		}
		as = "mount --bind " + filepath.Join(given, name) + " /etc/" + name + " && " + as
	}
	if err := exec.Command("chown", "-R", nobody+":"+nobody, dir).Run(); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("unshare", "--mount", "sh", "-c", as, script)
	c.Dir = dir
	return c
}
