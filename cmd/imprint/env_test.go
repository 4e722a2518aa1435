package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

// A layerBox is a directory with a build store, in which imprint env runs as a process.
type layerBox struct {
	t   *testing.T
	dir string
}

func newLayerBox(t *testing.T) layerBox { return layerBox{t, t.TempDir()} }

func (b layerBox) command(args ...string) *exec.Cmd {
	c := exec.Command("imprint", append([]string{"env"}, args...)...)
	c.Dir, c.Env = b.dir, append(os.Environ(), "XDG_CACHE_HOME="+b.dir+"/cache", "TMPDIR="+b.dir)
	return c
}

// run runs a command that succeeds and returns its output.
func (b layerBox) run(args ...string) string {
	b.t.Helper()
	out, err := b.command(args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("imprint env %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// files makes a directory of n files.
func (b layerBox) files(name string, n int) {
	b.t.Helper()
	mkdir(b.t, filepath.Join(b.dir, name))
	for i := range n {
		writeFile(b.t, filepath.Join(b.dir, name, fmt.Sprint(i)), strings.Repeat(fmt.Sprintf("%s %d\n", name, i), 1+i*100))
	}
}

// stored lists the files in the build store, but not its locks.
func (b layerBox) stored() (list []string) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.dir, "cache"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasSuffix(path, ".lock") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// Commands are killed at random moments: the next ones work, verify finds nothing wrong, and gc leaves nothing behind.
func TestEnvKilled(t *testing.T) {
	b := newLayerBox(t)
	b.files("base", 20)
	b.files("more", 200)
	b.run("init", "web", "base")
	start := time.Now()
	b.run("add-layer", "web", "more")
	whole := time.Since(start)
	b.run("tag", "web", "kept")
	b.run("roll-back", "web")
	rounds := 20
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 100
	}
	random, killed := rand.New(rand.NewPCG(1, 2)), 0
	for range rounds {
		b.run("tag", "web", "kept", "root") // so that there is something to add, or to collect
		c := [][]string{{"add-layer", "web", "more"}, {"init", "other", "more"}, {"gc"}, {"add-layer", "web", "--onto", "kept", "more"}}[random.IntN(4)]
		cmd := b.command(c...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(whole))))
		cmd.Process.Kill()
		if err := cmd.Wait(); err != nil {
			killed++
		}
		b.run("verify")
		b.run("list")
		if c[0] == "init" {
			b.command("remove", "other").Run() // if it was made
		}
		b.run("tag", "web", "current", "root")
	}
	if killed == 0 {
		t.Error("no command was killed")
	}
	b.run("gc")
	left := b.stored()
	b.run("init", "same", "base") // what only web has is what a new environment has
	b.run("remove", "web")
	b.run("gc")
	if got := len(b.stored()); got != len(left) {
		t.Errorf("%d files were left, and a new environment has %d:\n%s", len(left), got, strings.Join(left, "\n"))
	}
	b.run("remove", "same")
	if left := b.stored(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// On a full disk a layer is not added, nothing is left of it, and what was there is sound.
func TestEnvFullDisk(t *testing.T) {
	hosttest.Need(t, "unshare", "mount")
	if exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() != nil {
		t.Skip("needs user namespaces")
	}
	b := newLayerBox(t)
	b.files("base", 10)
	b.files("more", 150) // some 10 MB
	mkdir(t, filepath.Join(b.dir, "cache"))
	script := `mount -t tmpfs -o size=3m tmpfs cache
imprint env init web base || exit 1
imprint env list >before
imprint env add-layer web more && exit 2
imprint env list | cmp - before || exit 3
imprint env verify || exit 4
imprint env gc && find cache -type f -size +0 | wc -l >left
imprint env add-layer web base || exit 5`
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script)
	c.Dir, c.Env = b.dir, b.command().Env
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no space left on device") {
		t.Fatalf("%v\n%s", err, out)
	}
	if left := strings.TrimSpace(string(read(t, filepath.Join(b.dir, "left")))); left != "13" { // ten contents, a record, a link and the environment
		t.Errorf("%s files are left\n%s", left, out)
	}
}

// Processes that add to one environment at the same time lose nothing.
func TestEnvAtOnce(t *testing.T) {
	b := newLayerBox(t)
	b.files("base", 5)
	b.run("init", "web", "base")
	const processes = 6
	var all []*exec.Cmd
	for i := range processes {
		b.files(fmt.Sprint("layer", i), 20)
		c := b.command("add-layer", "web", fmt.Sprint("layer", i))
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	if list := b.run("list"); !strings.Contains(list, fmt.Sprint(1+processes, " layers")) {
		t.Errorf("there are %s", list)
	}
	b.run("verify")
}
