package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A child is a build to which a fault happens.
type child struct {
	rack    *rack
	format  *format
	what    string // happens
	argv    []string
	mount   string // options of the file system of the outputs, "" for the usual one
	out     string // directory of the image
	during  func() // after the start
	pid     int
	killed  bool   // it may be, so that scratch files may stay, and no manifest
	remains bool   // scratch files may stay
	starved bool   // Go's runtime may not get what it needs, and says so in its own way
	changed source // without a path for none

	code  string // exit code, or "signal"
	said  string
	wrong []string
}

// tooLong is when a build hangs, on however busy a machine.
const tooLong = 2 * time.Minute

// build has a fault happen to a build, and returns what was wrong with it.
func (k *rack) build(t *testing.T, f *format, fault mishap, r *rand.Rand) *child {
	t.Helper()
	c := &child{rack: k, format: f, out: k.dir + "/out", during: func() {}}
	c.argv = []string{k.program, "build", f.file}
	fault.plan(c, r)
	if c.mount != "" {
		c.out = k.dir + "/small"
		unmount, err := k.mount(c.mount)
		if err != nil {
			t.Fatal(err)
		}
		defer unmount()
	}
	for _, image := range c.images() {
		c.argv = append(c.argv, "-o", image)
	}
	k.putOld(t, c.out, c.images())
	c.run(t)
	c.judge(fault)
	if c.changed.path != "" {
		if err := c.changed.restore(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *child) images() []string { return c.format.images(c.out + "/image") }

// wrongf records a violation.
func (c *child) wrongf(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// putOld makes a directory hold the older image and its manifest, under each of the names, and nothing else.
func (k *rack) putOld(t *testing.T, dir string, images []string) {
	t.Helper()
	for _, name := range names(dir) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, image := range images {
		writeFile(t, image, string(k.image))
		writeFile(t, image+".json", string(k.manifest))
	}
}

// run runs the build in a session of its own, and ends what hangs.
func (c *child) run(t *testing.T) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = c.rack.dir, &said, &said, 10*time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + c.rack.dir + "/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.pid = cmd.Process.Pid
	hung := time.AfterFunc(tooLong, func() {
		for _, pid := range ofSession(c.pid) {
			syscall.Kill(pid, unix.SIGKILL)
		}
	})
	c.during()
	err := cmd.Wait()
	if !hung.Stop() {
		c.wrongf("it hung for %v", tooLong)
	}
	if c.code = strconv.Itoa(cmd.ProcessState.ExitCode()); c.code == "-1" {
		c.code = "signal"
	}
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		c.wrongf("%v", err)
	}
	c.said = said.String()
}

// ofSession returns the processes of a session that are still running.
func ofSession(leader int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, _ := os.ReadFile(file)
		name := bytes.LastIndexByte(text, ')')
		fields := strings.Fields(string(text[name+1:])) // proc_pid_stat(5): state, ppid, pgrp, session
		if len(fields) < 4 || fields[0] == "Z" || fields[3] != strconv.Itoa(leader) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// judge compares how the build ended, and what there is afterwards, with what may be.
func (c *child) judge(f mishap) {
	c.judgeProcesses()
	if !slices.Contains(strings.Fields(f.codes), c.code) {
		c.wrongf("it is none of %s", f.codes)
	}
	if strings.Contains(c.said, "goroutine ") && !c.starved {
		c.wrongf("a trace of Go's runtime")
	}
	var checked [][2]string
	for i, path := range c.images() {
		image, manifest := c.state(i, path, &checked)
		switch after := image + ", " + manifest; {
		case c.code == "0" && after != "new, new", c.code != "0" && !c.killed && after != "old, old",
			c.killed && after != "old, old" && after != "old, none" && after != "new, none" && after != "new, new":
			c.wrongf("the image %s and its manifest are %s", filepath.Base(path), after)
		}
	}
	c.judgeNames()
}

// judgeProcesses waits for the end of host tools whose parent was killed.
func (c *child) judgeProcesses() {
	for range 200 {
		if len(ofSession(c.pid)) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.wrongf("processes %v are left", ofSession(c.pid))
}

// state says whether the n-th image, which has that path, and its manifest are the old ones, the new ones, none, or others. checked are the
// digests of images of the changed source, once they are built.
func (c *child) state(n int, path string, checked *[][2]string) (image, manifest string) {
	has := digests(path)
	old := [2]string{digestOf(c.rack.image), digestOf(c.rack.manifest)}
	want := c.format.want[n]
	if c.changed.path != "" && c.code == "0" && has != want {
		if *checked == nil {
			*checked = c.ofChanged()
		}
		want = (*checked)[n]
	}
	for i, what := range []*string{&image, &manifest} {
		switch {
		case has[i] == old[i]:
			*what = "old"
		case has[i] == "":
			*what = "none"
		case has[i] == want[i]:
			*what = "new"
		default:
			*what = "others"
		}
	}
	return image, manifest
}

// ofChanged returns the digests of images that are built from the changed source, at rest.
func (c *child) ofChanged() (list [][2]string) {
	images := c.format.images(c.rack.dir + "/check/image")
	if out, err := c.rack.command(c.format.file, images...).CombinedOutput(); err != nil {
		c.wrongf("a build of the changed source: %v\n%s", err, out)
	}
	for _, image := range images {
		list = append(list, digests(image))
	}
	return list
}

// judgeNames finds what is left beside the image, and in the directory for temporary files. After a kill the next build removes it.
func (c *child) judgeNames() {
	if (c.killed || c.remains) && len(c.left()) > 0 {
		if out, err := c.rack.command("old.toml", c.out+"/next").CombinedOutput(); err != nil {
			c.wrongf("the next build: %v\n%s", err, out)
		}
		os.Remove(c.out + "/next")
		os.Remove(c.out + "/next.json")
	}
	for _, path := range c.left() {
		c.wrongf("%s is left behind", path)
		os.RemoveAll(path)
	}
}

// left returns the paths of what is neither an image nor a manifest.
func (c *child) left() (paths []string) {
	for _, dir := range []string{c.out, c.rack.dir + "/tmp"} {
		for _, name := range names(dir) {
			path := filepath.Join(dir, name)
			if !slices.Contains(c.images(), strings.TrimSuffix(path, ".json")) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// names lists a directory.
func names(dir string) (list []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// digests are those of an image and its manifest.
func digests(image string) [2]string {
	return [2]string{fileDigest(image), fileDigest(image + ".json")}
}

// fileDigest is the SHA-256 of a file, "" where there is none.
func fileDigest(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err.Error()
	}
	return string(sum.Sum(nil))
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return string(sum[:])
}
