package nixtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// configuration keeps Nix away from the network and from the machine's users.
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

// A nix runs Nix over the store below a directory.
type nix struct {
	root string
	conf string   // directory of nix.conf
	wrap []string // what each command is run by
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

// needNamespaces skips the test where the kernel refuses what Nix's sandbox stands on, as it does in most containers.
func needNamespaces(t testing.TB) {
	t.Helper()
	args := []string{"--user", "--map-root-user", "--fork", "--pid", "--mount-proc", "true"}
	if out, err := exec.Command("unshare", args...).CombinedOutput(); err != nil {
		t.Skipf("needs user, PID and mount namespaces: %s", out)
	}
}

// alone is a nix that sees no other process: store paths in the environment or among the open files of any process that Nix finds in
// /proc are roots to its garbage collector, in a chroot store too.
func (n nix) alone() nix {
	n.wrap = strings.Fields("unshare --fork --pid --mount-proc")
	if os.Getuid() != 0 {
		n.wrap = append(n.wrap, "--map-root-user")
	}
	return n
}

// run gives what the command writes to its standard output and, apart, to its standard error.
func (n nix) run(command string, args ...string) (stdout, stderr string, err error) {
	argv := append(append(n.wrap[:len(n.wrap):len(n.wrap)], command), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=" + n.conf,
		"NIX_CONF_DIR=" + n.conf, "NIX_USER_CONF_FILES=", "NIX_REMOTE=local?root=" + n.root,
	}
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

// must is run for a command that has to succeed.
func (n nix) must(t testing.TB, command string, args ...string) string {
	t.Helper()
	out, complaints, err := n.run(command, args...)
	if err != nil {
		t.Fatalf("%s %.200q: %v\n%s", command, args, err, complaints)
	}
	return out
}
