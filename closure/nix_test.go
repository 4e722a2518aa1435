package closure

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// readHost is a ReadFunc.
func readHost(path string) (*tree.Node, error) { return (&hosttree.Scanner{}).Read(path) }

// A realNix is a store of a real Nix in a directory of its own, which its store paths contain, so that it builds without a sandbox, and no
// process of this machine holds one of its paths.
type realNix struct {
	t      testing.TB
	dir    string
	flavor Flavor
	env    []string
}

func newNix(t testing.TB) *realNix {
	t.Helper()
	hosttest.Need(t, "nix-store", "nix-build", "nix")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { makeWritable(dir) })
	n := &realNix{t: t, dir: dir, flavor: Nix}
	n.flavor.StoreDir, n.flavor.StateDir = dir+"/nix/store", dir+"/nix/var/nix"
	n.write("nix.conf", "build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command\n")
	n.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "NIX_CONF_DIR=" + dir, "NIX_USER_CONF_FILES=/dev/null",
		"NIX_STORE_DIR=" + n.flavor.StoreDir, "NIX_STATE_DIR=" + n.flavor.StateDir, "NIX_LOG_DIR=" + dir + "/log",
	}
	return n
}

// makeWritable lets an ordinary user remove a store.
func makeWritable(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
}

func (n *realNix) write(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// at returns the same Nix with its store and state below another directory.
func (n *realNix) at(prefix string) *realNix {
	other := *n
	other.env = append(other.env[:len(other.env):len(other.env)],
		fmt.Sprintf("NIX_REMOTE=local?store=%[1]s&real=%[2]s%[1]s&state=%[2]s%[3]s&log=%[2]s/log", n.flavor.StoreDir, prefix, n.flavor.StateDir))
	return &other
}

// alone runs the garbage collector in a PID namespace, if that is permitted: it takes every store path that it finds in another process of this
// machine for a root, and fails on links in /proc that are too long.
func alone() []string {
	isolated := []string{"unshare", "--pid", "--fork", "--mount-proc"}
	if exec.Command(isolated[0], append(isolated[1:], "true")...).Run() != nil {
		return nil
	}
	return isolated
}

func (n *realNix) collect(args ...string) string {
	n.t.Helper()
	return n.run(append(append(alone(), "nix-store", "--gc"), args...)...)
}

// try runs a command and returns its output, with that to standard error.
func (n *realNix) try(stdin string, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = n.env, n.dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run runs a command that must succeed, and returns its output.
func (n *realNix) run(args ...string) string {
	n.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var errors strings.Builder
	cmd.Env, cmd.Dir, cmd.Stderr = n.env, n.dir, &errors
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("%q: %v\n%s%s", args, err, out, &errors)
	}
	return strings.TrimSpace(string(out))
}

// system is a small closure with everything that occurs in real ones: several outputs, references to itself, a fixed output, items that are
// files and symlinks, equal files, programs, empty files.
const system = `
let
  make = name: script: extra: derivation ({
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" script ];
  } // extra);
  text = builtins.toFile "text.txt" "hello\n";
  fixed = make "fixed" "echo -n fixed > $out" {
    outputHashAlgo = "sha256"; outputHashMode = "flat"; outputHash = builtins.hashString "sha256" "fixed";
  };
  lib = make "lib-1.0" ''
    mkdir -p $out/lib $dev/include; echo content > $out/lib/a; cp $out/lib/a $out/lib/b; ln -s a $out/lib/c; : > $out/empty
    echo $out > $dev/include/where; cp $out/lib/a $dev/include/a; chmod +x $dev/include/a; ln $out/lib/a $out/lib/linked
  '' { outputs = [ "out" "dev" ]; };
  link = make "link" "ln -s ${text} $out" { };
in make "system-1.0" ''
  mkdir -p $out/bin; printf '#!/bin/sh\necho %s\n' $out > $out/bin/run; chmod 755 $out/bin/run
  echo ${lib} ${lib.dev} ${fixed} > $out/uses; ln -s ${link} $out/link; : > $out/empty; echo content > $out/a; ln -s a $out/c
'' { }
`

// buildSystem builds the system and returns its path.
func (n *realNix) buildSystem() Path {
	n.t.Helper()
	return n.path(n.run("nix-build", n.write("system.nix", system), "--no-out-link"))
}

func (n *realNix) path(text string) Path {
	n.t.Helper()
	p, err := n.flavor.ParsePath(text)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

func (n *realNix) open() *LocalStore {
	n.t.Helper()
	s, err := OpenLocal(n.t.Context(), "", n.flavor, readHost)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { s.Close() })
	return s
}

// compute returns the closure of the roots with its content.
func (n *realNix) compute(roots ...Path) []TargetItem {
	n.t.Helper()
	c, err := Compute(n.t.Context(), []Store{n.open()}, roots)
	if err != nil {
		n.t.Fatal(err)
	}
	items, err := readItems(n.t.Context(), c)
	if err != nil {
		n.t.Fatal(err)
	}
	return items
}

// unpack writes a tree to a directory, as the file system of an image would show it, without owners.
func unpack(t testing.TB, dir string, tr *tree.Tree) {
	t.Helper()
	first := map[*tree.Node]string{}
	var later []func() error
	for path, n := range tr.Walk() {
		path = filepath.Join(dir, path)
		if n.Kind() == tree.Link {
			later = append(later, func() error { return os.Link(first[n.Inode()], path) })
			continue
		}
		first[n] = path
		if err := unpackNode(path, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range later {
		if err := link(); err != nil {
			t.Fatal(err)
		}
	}
	for path, n := range tr.Walk() {
		if n.Kind() == tree.Dir {
			mode := fs.FileMode(n.Attr.Mode & 0o777)
			if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func unpackNode(path string, n *tree.Node) error {
	switch n.Kind() {
	case tree.Dir:
		return os.MkdirAll(path, 0o755)
	case tree.Symlink:
		return os.Symlink(n.Target(), path)
	}
	r, err := n.Blob().Open()
	if err != nil {
		return err
	}
	defer r.Close()
	b := make([]byte, n.Size())
	r.ReadAt(b, 0)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, fs.FileMode(n.Attr.Mode))
}
