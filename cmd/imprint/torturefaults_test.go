package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"imprint/internal/limits"

	"golang.org/x/sys/unix"
)

// A fault is something that goes wrong with a build.
type mishap struct {
	name  string
	codes string // with which a build may end, and "signal"
	tools bool   // happens only to builds that run host tools
	mount bool   // needs a file system of its own
	plan  func(c *child, r *rand.Rand)
}

var faults = []mishap{
	{name: "SIGKILL", codes: "0 signal", plan: signals(unix.SIGKILL)},
	{name: "SIGTERM", codes: "0 130 signal", plan: signals(unix.SIGTERM)},
	{name: "SIGINT", codes: "0 130 signal", plan: signals(unix.SIGINT)},
	{name: "SIGHUP", codes: "0 130 signal", plan: signals(unix.SIGHUP)},
	{name: "SIGINT twice", codes: "0 130 signal", plan: signals(unix.SIGINT, unix.SIGINT)},
	{name: "SIGKILL at a call", codes: "0 1 signal", plan: killedAtCall}, // 1 when it is a host tool's call
	{name: "host tool killed", codes: "0 1", tools: true, plan: toolKilled},
	{name: "full file system", codes: "0 1", mount: true, plan: fullDisk},
	{name: "file system fills up", codes: "0 1", mount: true, plan: fillsUp},
	{name: "no inodes left", codes: "0 1", mount: true, plan: noInodes},
	{name: "ulimit -f", codes: "0 1", plan: limited("-f", 0, 40<<10)}, // in blocks of 512 bytes, or of 1 KiB: to beyond every image
	{name: "ulimit -n", codes: "0 1", plan: limited("-n", 8, 70)},
	{name: "ulimit -v", codes: "0 1 2 126 127 signal", plan: limited("-v", 50<<10, 4<<20)},
	{name: "write fails", codes: "0 1", plan: failing(changing)},
	{name: "read fails", codes: "0 1", plan: failing(reading)},
	{name: "source changed", codes: "0 1 3 5", plan: sourceChanged},
}

// moment waits for a time that a build takes, or somewhat longer, beginning at its start.
func (c *child) moment(r *rand.Rand) func() {
	d := time.Duration(r.Float64() * 1.1 * float64(c.format.takes))
	c.what += fmt.Sprintf("after %v of %v", d.Round(time.Millisecond), c.format.takes.Round(time.Millisecond))
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

// A call is a system call that can fail.
type call struct {
	name   string
	most   float64 // how often a thread makes it, in the order of magnitude
	errors []string
	remain bool // without it, scratch files cannot be removed, which the next build does
}

// changing are the calls that change what is on the disk. (An error of write would be one of Go's own events, too.)
var changing = []call{
	{"pwrite64", 3000, []string{"EIO", "ENOSPC", "EDQUOT"}, false},
	{"fallocate", 5, []string{"EIO", "ENOSPC"}, false},
	{"ftruncate", 3, []string{"EIO", "ENOSPC"}, false},
	{"fsync", 6, []string{"EIO", "ENOSPC"}, false},
	{"sync_file_range", 10, []string{"EIO", "ENOSPC"}, false},
	{"linkat", 3, []string{"EIO", "ENOSPC", "EMLINK"}, false},
	{"renameat", 3, []string{"EIO", "ENOSPC"}, false},
	{"renameat2", 3, []string{"EIO", "ENOSPC"}, false},
	{"mkdirat", 3, []string{"EIO", "ENOSPC"}, false},
	{"unlinkat", 20, []string{"EIO"}, true},
}

// reading are those that read. (An error of read would be one of pipes, too, which have none.)
var reading = []call{
	{"pread64", 3000, []string{"EIO"}, false},
	{"openat", 2000, []string{"EMFILE", "ENFILE", "EIO", "ENOMEM"}, true},
	{"getdents64", 50, []string{"EIO"}, true},
	{"newfstatat", 100, []string{"EIO"}, true},
	{"statx", 1000, []string{"EIO", "ENOMEM"}, false},
	{"statfs", 5, []string{"EIO"}, false},
	{"flock", 5, []string{"ENOLCK"}, true},
}

// strace has the n-th call of a thread do something else than it should, with all each later one too. Small n are as probable as large ones.
func (c *child) strace(k call, r *rand.Rand, injected string, all bool) {
	when := fmt.Sprint(int(math.Pow(k.most, r.Float64())))
	if all {
		when += "+"
	}
	c.what = fmt.Sprintf("%s:%s:when=%s", k.name, injected, when)
	c.argv = append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=" + k.name,
		"-e", "inject=" + k.name + ":" + injected + ":when=" + when}, c.argv...)
}

// failing has a call fail, once; or, where files are read and written, from then on, as on a device that is broken.
func failing(calls []call) func(*child, *rand.Rand) {
	return func(c *child, r *rand.Rand) {
		k := calls[r.IntN(len(calls))]
		c.strace(k, r, "error="+k.errors[r.IntN(len(k.errors))], strings.HasPrefix(k.name, "p") && r.IntN(2) == 0)
		c.remains = k.remain
	}
}

// killedAtCall kills the build when it is about to change what is on the disk.
func killedAtCall(c *child, r *rand.Rand) {
	c.strace(changing[r.IntN(len(changing))], r, "signal=KILL", false)
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

// limited is a build with a limit of the shell. Some parents ignore SIGXFSZ, which would make -f another fault.
func limited(flag string, least, most int) func(*child, *rand.Rand) {
	return func(c *child, r *rand.Rand) {
		n := least + r.IntN(most-least)
		c.what = fmt.Sprintf("ulimit %s %d", flag, n)
		c.argv = append([]string{"env", "--default-signal=XFSZ", "sh", "-c", `ulimit "$1" "$2" && shift 2 && exec "$@"`, "sh", flag, strconv.Itoa(n)}, c.argv...)
		c.starved = flag == "-v" && n < limits.LeastAddressSpace>>10
	}
}

// fullDisk has the outputs on a file system that has room for the older image and for part of a new one.
func fullDisk(c *child, r *rand.Rand) {
	c.mount = fmt.Sprintf("size=%d", int64(len(c.format.want))*128<<10+r.Int64N(2*c.format.onDisk))
	c.what = c.mount
}

// fillsUp lets another program take all free space, some time after the build has checked that there is enough.
func fillsUp(c *child, r *rand.Rand) {
	c.mount = "size=200m"
	wait := c.moment(r)
	c.during = func() {
		wait()
		var now unix.Statfs_t
		for range 10 { // while the build takes more
			if unix.Statfs(c.out, &now) == nil && unix.Mount("", c.out, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", int64(now.Blocks-now.Bfree)*now.Bsize)) == nil {
				return
			}
		}
	}
}

// noInodes has them where few files can be, beside the directory and older images with their manifests.
func noInodes(c *child, r *rand.Rand) {
	c.mount = fmt.Sprintf("nr_inodes=%d", 1+2*len(c.format.want)+r.IntN(7))
	c.what = c.mount
}

// sourceChanged changes a file that goes into the image.
func sourceChanged(c *child, r *rand.Rand) {
	source := c.rack.sources[r.IntN(len(c.rack.sources))]
	if likely := c.rack.likely; r.IntN(3) > 0 {
		source = likely[r.IntN(len(likely))]
	}
	change := changes[r.IntN(len(changes))]
	wait := c.moment(r)
	c.what += fmt.Sprintf(", %s: %s", source.path, change.name)
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
	{"replaced by a link to an endless file", func(s source, _ *rand.Rand) { s.replace(func(p string) { os.Symlink("/dev/zero", p) }) }},
	{"replaced by a fifo", func(s source, _ *rand.Rand) { s.replace(func(p string) { unix.Mkfifo(p, 0o644) }) }},
	{"replaced by a directory", func(s source, _ *rand.Rand) {
		os.Remove(s.path)
		os.Mkdir(s.path, 0o755)
	}},
	{"replaced by another file", func(s source, _ *rand.Rand) {
		s.replace(func(p string) { os.WriteFile(p, make([]byte, len(s.content)), 0o644) })
	}},
}
