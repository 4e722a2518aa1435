package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A stepBox is a directory with a description that has steps, and a build store.
type stepBox struct{ layerBox }

const stepsTable = `name = "web"
arch = "x86_64"
epoch = 7
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
[[partition.layer]]
source = "base"
`

// describe writes a description in which the steps of some scripts make layers, one on the other.
func (b stepBox) describe(name string, scripts ...string) {
	b.t.Helper()
	text := stepsTable
	for i := range scripts {
		text += fmt.Sprintf("[[partition.layer]]\nstep = \"s%d\"\n", i)
	}
	for i, s := range scripts {
		text += fmt.Sprintf("[[step]]\nname = \"s%d\"\nrun = [\"/busybox\", \"sh\", \"-c\", %q]\ncache = [{ name = \"c\", target = \"/cache\" }]\n", i, s)
	}
	writeFile(b.t, filepath.Join(b.dir, name), text)
}

func newStepBox(t *testing.T) stepBox {
	busybox := needSandbox(t)
	b := stepBox{newLayerBox(t)}
	mkdir(t, filepath.Join(b.dir, "base"))
	writeFile(t, filepath.Join(b.dir, "base/busybox"), string(read(t, busybox)))
	os.Chmod(filepath.Join(b.dir, "base/busybox"), 0o755)
	return b
}

// imprint returns a command of the program.
func (b stepBox) imprint(args ...string) *exec.Cmd {
	c := exec.Command("imprint", args...)
	c.Dir, c.Env = b.dir, b.command().Env
	return c
}

// must runs a command that succeeds, and returns its output.
func (b stepBox) must(args ...string) string {
	b.t.Helper()
	out, err := b.imprint(args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("imprint %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// kept lists the files in the build store besides locks and what counts.
func (b stepBox) kept() (list []string) {
	for _, path := range b.stored("imprint/layers") {
		if name := filepath.Base(path); name != "hits" && name != "misses" {
			list = append(list, path)
		}
	}
	return list
}

// Builds are killed at random moments while steps run: the next ones work, verify finds nothing wrong, and nothing is left behind.
func TestStepsKilled(t *testing.T) {
	b := newStepBox(t)
	const slow = "/busybox usleep 20000; /busybox mkdir -m 0 /d; for i in 1 2 3 4 5 6 7 8 9; do echo $i >/f$i; echo $i >/cache/$i; done"
	b.describe("web.toml", slow, slow+"; echo more >/more")
	start := time.Now()
	b.must("build", "web.toml", "-o", "whole.raw")
	whole := time.Since(start)
	b.must("cache", "delete", "s0")
	rounds := 8
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 100
	}
	random, killed := rand.New(rand.NewPCG(3, 5)), 0
	for range rounds {
		cmd := b.imprint("build", "web.toml", "-o", "killed.raw")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(whole))))
		cmd.Process.Kill()
		if err := cmd.Wait(); err != nil {
			killed++
		}
		b.must("cache", "verify")
		switch random.IntN(4) {
		case 0:
			b.must("env", "gc")
		case 1:
			b.imprint("cache", "delete", "s0").Run() // if it was made
		}
	}
	if killed == 0 {
		t.Error("no build was killed")
	}
	b.must("build", "web.toml", "-o", "again.raw")
	if string(read(t, filepath.Join(b.dir, "again.raw"))) != string(read(t, filepath.Join(b.dir, "whole.raw"))) {
		t.Error("the image is another one")
	}
	b.must("cache", "delete", "s0", "--cache", "c")
	b.must("env", "gc")
	if left := b.kept(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// Two builds that have one step run it once, and get the same.
func TestStepsTwoAtOnce(t *testing.T) {
	b := newStepBox(t)
	b.describe("web.toml", "echo running; /busybox usleep 400000; echo once >>/cache/runs; echo made >/made")
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if out, err := b.imprint("build", "web.toml", "-o", fmt.Sprintf("%d.raw", i)).CombinedOutput(); err != nil || strings.Count(string(out), "  running\n") != 1 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	for i := range 2 {
		if string(read(t, filepath.Join(b.dir, fmt.Sprintf("%d.raw", i)))) != string(read(t, filepath.Join(b.dir, "2.raw"))) {
			t.Error("the images differ")
		}
	}
	runs, err := filepath.Glob(filepath.Join(b.dir, "cache/imprint/layers/caches/c/*/runs"))
	if err != nil || len(runs) != 1 || string(read(t, runs[0])) != "once\n" {
		t.Errorf("%v: %v", err, runs)
	}
}

// On a full disk a step fails, nothing is left of it, and what was there is sound.
func TestStepsFullDisk(t *testing.T) {
	b := newStepBox(t)
	b.describe("small.toml", "echo small >/small")
	b.describe("large.toml", "echo small >/small", "for i in 1 2 3 4 5; do /busybox cat /busybox >>/large || exit 3; done")
	b.describe("kept.toml", "echo small >/small", "/busybox cat /busybox /busybox >/large")
	mkdir(t, filepath.Join(b.dir, "cache"))
	script := `mount -t tmpfs -o size=7m tmpfs cache
imprint build small.toml -o 1.raw || exit 1
imprint build large.toml && exit 2
imprint build kept.toml && exit 3
imprint cache verify || exit 4
imprint build small.toml -o 2.raw || exit 5
cmp 1.raw 2.raw || exit 6
imprint env gc || exit 7
test -z "$(ls -A cache/imprint/layers/running 2>/dev/null)" || exit 8`
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	c.Dir, c.Env = b.dir, b.command().Env
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "exit status 3") || !strings.Contains(string(out), "no space left on device") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Where user namespaces are forbidden, a build says what allows them; what has run before is found, and everything without steps works.
func TestStepsForbidden(t *testing.T) {
	b := newStepBox(t)
	b.describe("old.toml", "echo old >/old")
	b.describe("new.toml", "echo new >/new")
	b.describe("none.toml")
	b.must("build", "old.toml")
	script := `echo 0 >/proc/sys/user/max_user_namespaces || exit 77
imprint build none.toml && imprint build old.toml -o old2.raw && imprint plan new.toml && imprint cache verify || exit 1
imprint build new.toml 2>error && exit 2
imprint cache healthcheck 2>>error && exit 3
exit 0`
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	c.Dir, c.Env = b.dir, b.command().Env
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() == 77 {
		t.Skip("the limit of user namespaces cannot be set")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text := string(read(t, filepath.Join(b.dir, "error"))); strings.Count(text, "the host forbids user namespaces, in which commands run: ") != 2 || strings.Count(text, "root allows them with sysctl") != 2 {
		t.Errorf("it says %s", text)
	}
}

// A build that is interrupted says so, and its step ends.
func TestStepsInterrupted(t *testing.T) {
	b := newStepBox(t)
	b.describe("web.toml", "echo begun; /busybox sleep 1000")
	c := b.imprint("build", "web.toml")
	said, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for buf := make([]byte, 100); !strings.Contains(text.String(), "begun"); {
		n, err := said.Read(buf)
		if text.Write(buf[:n]); err != nil {
			t.Fatalf("%v: %s", err, &text)
		}
	}
	c.Process.Signal(os.Interrupt)
	if err := c.Wait(); c.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("%v: %s", err, &text)
	}
	if left := b.kept(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}
