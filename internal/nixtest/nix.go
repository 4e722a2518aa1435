package nixtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// configuration keeps Nix from using the network and build users.
const configuration = `build-users-group =
sandbox = true
sandbox-paths =
substituters =
experimental-features = nix-command
auto-optimise-store = false
fsync-metadata = false
keep-derivations = true
keep-outputs = false
`

// A nix runs Nix on the store below a directory.
type nix struct {
	root string
	conf string   // directory of nix.conf
	wrap []string // command and arguments before each command
}

func newNix(t testing.TB, root string) nix {
	t.Helper()
	hosttest.Need(t, "nix", "nix-build", "nix-store", "unshare")
	needNamespaces(t)
	conf := t.TempDir()
	if err := os.WriteFile(filepath.Join(conf, "nix.conf"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	return nix{root: root, conf: conf}
}

// needNamespaces skips the test if the kernel refuses the namespaces that Nix's sandbox needs, as in most containers.
func needNamespaces(t testing.TB) {
	t.Helper()
	args := []string{"--user", "--map-root-user", "--fork", "--pid", "--mount-proc", "true"}
	if out, err := exec.Command("unshare", args...).CombinedOutput(); err != nil {
		t.Skipf("needs user, PID and mount namespaces: %s", out)
	}
}

// alone returns a nix that sees no other process. Nix's garbage collector treats store paths in the environment and the open files of every
// process in /proc as roots, even for a chroot store.
func (n nix) alone() nix {
	n.wrap = strings.Fields("unshare --fork --pid --mount-proc")
	if os.Getuid() != 0 {
		n.wrap = append(n.wrap, "--map-root-user")
	}
	return n
}

// command returns a command in the environment of the store.
func (n nix) command(command string, args ...string) *exec.Cmd {
	argv := append(append(n.wrap[:len(n.wrap):len(n.wrap)], command), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=" + n.conf,
		"NIX_CONF_DIR=" + n.conf, "NIX_USER_CONF_FILES=", "NIX_REMOTE=local?root=" + n.root,
	}
	return cmd
}

// run runs a command and returns its standard output and standard error.
func (n nix) run(command string, args ...string) (stdout, stderr string, err error) {
	cmd := n.command(command, args...)
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

// must runs a command that must succeed and returns its standard output.
func (n nix) must(t testing.TB, command string, args ...string) string {
	t.Helper()
	out, complaints, err := n.run(command, args...)
	if err != nil {
		t.Fatalf("%s %.200q: %v\n%s", command, args, err, complaints)
	}
	return out
}
