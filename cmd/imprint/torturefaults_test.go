package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A fault is something that goes wrong with a build.
type fault struct {
	name  string
	tools bool // happens only to builds that run host tools
	mount bool // needs a file system of its own
	plan  func(c *child, r *rand.Rand)
}

var faults = []fault{
	{name: "SIGKILL", plan: signals(unix.SIGKILL)},
	{name: "SIGTERM", plan: signals(unix.SIGTERM)},
	{name: "SIGINT", plan: signals(unix.SIGINT)},
	{name: "SIGHUP", plan: signals(unix.SIGHUP)},
	{name: "SIGINT twice", plan: signals(unix.SIGINT, unix.SIGINT)},
	{name: "SIGKILL at a call", plan: killedAtCall},
	{name: "host tool killed", tools: true, plan: toolKilled},
	{name: "full file system", mount: true, plan: fullDisk},
	{name: "no inodes left", mount: true, plan: noInodes},
	{name: "ulimit -f", plan: limited("-f", 0, 40<<10)}, // in blocks of 512 bytes, or of 1 KiB: to beyond every image
	{name: "ulimit -n", plan: limited("-n", 3, 70)},
	{name: "ulimit -v", plan: limited("-v", 50<<10, 4<<20)},
	{name: "error of a call", plan: failingCall},
	{name: "source changed", plan: sourceChanged},
}

// moment waits for a time that a build takes, or somewhat longer, beginning at its start.
func (c *child) moment(r *rand.Rand) func() {
	d := time.Duration(r.Float64() * 1.1 * float64(c.format.takes))
	c.what += fmt.Sprintf("after %v of %v; ", d.Round(time.Millisecond), c.format.takes.Round(time.Millisecond))
	return func() { time.Sleep(d) }
}

// signals sends signals to the build. With the second one, as with SIGKILL, it does not clean up.
func signals(list ...syscall.Signal) func(*child, *rand.Rand) {
	return func(c *child, r *rand.Rand) {
		wait := c.moment(r)
		c.killed = list[0] == unix.SIGKILL || len(list) > 1
		c.during = func() {
			wait()
			for _, s := range list {
				syscall.Kill(c.pid, s)
				time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
			}
		}
	}
}

// failing are system calls that can fail, how often a build makes them, and the errors that they may return.
var failing = []struct {
	name   string
	often  float64
	errors []string
	remain bool // without it nothing can be removed, so the next build does
}{
	{"pwrite64", 100, []string{"EIO", "ENOSPC", "EDQUOT"}, false},
	{"pwritev", 3, []string{"EIO", "ENOSPC"}, false},
	{"copy_file_range", 20, []string{"EIO", "ENOSPC", "EXDEV"}, false},
	{"fallocate", 1, []string{"EIO", "ENOSPC"}, false},
	{"ftruncate", 1, []string{"EIO", "ENOSPC"}, false},
	{"fsync", 1, []string{"EIO", "ENOSPC"}, false},
	{"linkat", 1, []string{"EIO", "ENOSPC", "EMLINK"}, false},
	{"renameat", 1, []string{"EIO", "ENOSPC"}, false},
	{"renameat2", 1, []string{"EIO", "ENOSPC"}, false},
	{"mkdirat", 1, []string{"EIO", "ENOSPC"}, false},
	{"pread64", 100, []string{"EIO"}, false},
	{"openat", 200, []string{"EMFILE", "ENFILE", "EIO", "ENOMEM"}, true},
	{"getdents64", 5, []string{"EIO"}, true},
	{"newfstatat", 50, []string{"EIO"}, true},
	{"unlinkat", 2, []string{"EIO"}, true},
}

// strace has one call of one kind, or with all every later one too, do something else than it should.
func (c *child) strace(call, injected, when string) {
	c.what += fmt.Sprintf("%s:%s:when=%s; ", call, injected, when)
	c.argv = append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=" + call,
		"-e", "inject=" + call + ":" + injected + ":when=" + when}, c.argv...)
}

func failingCall(c *child, r *rand.Rand) {
	call := failing[r.IntN(len(failing))]
	when := strconv.Itoa(1 + int(r.ExpFloat64()*call.often))
	if strings.HasPrefix(call.name, "p") && r.IntN(2) == 0 { // a device that fails for good
		when += "+"
	}
	c.strace(call.name, "error="+call.errors[r.IntN(len(call.errors))], when)
	c.remains = call.remain
}

// killedAtCall kills the build at a call that changes what is on the disk.
func killedAtCall(c *child, r *rand.Rand) {
	call := failing[r.IntN(10)]
	c.strace(call.name, "signal=KILL", strconv.Itoa(1+int(r.ExpFloat64()*call.often)))
	c.killed = true
}

// toolKilled kills a host tool, as the kernel does when there is no memory left.
func toolKilled(c *child, r *rand.Rand) {
	wait := c.moment(r)
	c.during = func() {
		wait()
		for range 200 {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.pid))
			for _, task := range tasks {
				text, _ := os.ReadFile(task)
				for _, pid := range strings.Fields(string(text)) {
					if n, err := strconv.Atoi(pid); err == nil {
						syscall.Kill(n, unix.SIGKILL)
						return
					}
				}
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// limited is a build with a limit of the shell, which the signal that some parents ignore does not make another one.
func limited(flag string, least, most int) func(*child, *rand.Rand) {
	return func(c *child, r *rand.Rand) {
		n := least + r.IntN(most-least)
		c.what = fmt.Sprintf("ulimit %s %d", flag, n)
		c.argv = append([]string{"env", "--default-signal=XFSZ", "sh", "-c", `ulimit "$1" "$2" && shift 2 && exec "$@"`, "sh", flag, strconv.Itoa(n)}, c.argv...)
		c.starved = flag == "-v" && n < leastAddressSpace>>10
	}
}

// fullDisk has the outputs on a file system that has room for the older image and for part of a new one.
func fullDisk(c *child, r *rand.Rand) {
	c.mount = fmt.Sprintf("size=%d", 128<<10+r.Int64N(c.format.onDisk*5/4))
	c.what = c.mount
}

// noInodes has them where few files can be: the directory and the older image with its manifest are three.
func noInodes(c *child, r *rand.Rand) {
	c.mount = fmt.Sprintf("nr_inodes=%d", 3+r.IntN(7))
	c.what = c.mount
}

// sourceChanged changes a file that goes into the image.
func sourceChanged(c *child, r *rand.Rand) {
	source := c.rack.sources[r.IntN(len(c.rack.sources))]
	if large := c.rack.large; r.IntN(2) == 0 {
		source = large[r.IntN(len(large))]
	}
	change := changes[r.IntN(len(changes))]
	wait := c.moment(r)
	c.what += fmt.Sprintf("%s: %s", source.path, change.name)
	c.changed = source
	c.during = func() {
		wait()
		change.make(source, r)
	}
}

// changes are what can become of a file. Failures are ignored: then nothing has changed.
var changes = []struct {
	name string
	make func(source, *rand.Rand)
}{
	{"truncated", func(s source, r *rand.Rand) { os.Truncate(s.path, int64(r.IntN(len(s.content)+1))) }},
	{"grown", func(s source, r *rand.Rand) { os.Truncate(s.path, int64(len(s.content)+1+r.IntN(1<<20))) }},
	{"a bit flipped", func(s source, r *rand.Rand) { s.flip(r) }},
	{"a bit flipped, with the old time", func(s source, r *rand.Rand) {
		s.flip(r)
		os.Chtimes(s.path, s.info.ModTime(), s.info.ModTime())
	}},
	{"removed", func(s source, _ *rand.Rand) { os.Remove(s.path) }},
	{"replaced by a link", func(s source, _ *rand.Rand) { s.replace(func(p string) { os.Symlink("/proc/self/exe", p) }) }},
	{"replaced by an endless file", func(s source, _ *rand.Rand) { s.replace(func(p string) { os.Symlink("/dev/zero", p) }) }},
	{"replaced by a fifo", func(s source, _ *rand.Rand) { s.replace(func(p string) { unix.Mkfifo(p, 0o644) }) }},
	{"replaced by a directory", func(s source, _ *rand.Rand) {
		os.Remove(s.path)
		os.Mkdir(s.path, 0o755)
	}},
	{"replaced by another file", func(s source, _ *rand.Rand) {
		s.replace(func(p string) { os.WriteFile(p, make([]byte, len(s.content)), 0o644) })
	}},
}
