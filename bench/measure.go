package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A run is the measurement of one run of a contender.
type run struct {
	wall   float64 // seconds until the process ended
	synced float64 // seconds until the image was on the disk
	cpu    float64 // seconds of user and system time, with children
	user   float64 // seconds of user time alone, which depend less on the memory that the kernel gets
	memory float64 // MB, of the largest process
}

// whole is the time until the image was on the disk; seconds are those of the processors, and own those of user time.
func (r run) whole() float64   { return r.synced }
func (r run) seconds() float64 { return r.cpu }
func (r run) own() float64     { return r.user }

// A lane is where the contenders run on one workload.
type lane struct {
	workload
	cold bool
	dir  string // for outputs
	runs int    // so far
}

// measure runs a contender once, in a fresh directory.
func (l *lane) measure(c contender) (run, error) {
	l.runs++
	out := filepath.Join(l.dir, fmt.Sprintf("%s-%d", c.name, l.runs))
	if err := os.MkdirAll(out, 0o755); err != nil {
		return run{}, err
	}
	defer discard(out, filepath.Join(l.dir, "discarded"))
	cmd, err := c.command(l.workload, out)
	if err != nil {
		return run{}, err
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := l.settle(); err != nil {
		return run{}, err
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return run{}, fmt.Errorf("%s: %v\n%.2000s", c.name, err, said.String())
	}
	r := run{wall: time.Since(start).Seconds()}
	if err := syncDisks(out); err != nil {
		return run{}, fmt.Errorf("%s: %v", c.name, err)
	}
	r.synced = time.Since(start).Seconds()
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.user = cmd.ProcessState.UserTime().Seconds()
	r.cpu = r.user + cmd.ProcessState.SystemTime().Seconds()
	r.memory = float64(usage.Maxrss) / 1000
	return r, nil
}

// settle gives every run the same start: no data waits to be written, memory is available, and the cache is warm or empty.
func (l *lane) settle() error {
	unix.Sync()
	if l.cold {
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
			return err
		}
	}
	return faultIn(l.aboutMB)
}

// faultIn touches and frees as much memory as the workload and three copies of it take, so that a virtual machine that returns free memory
// to its host gets it back before the run. Another process does it, since the peak of this one would count for every contender.
func faultIn(megabytes int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if out, err := exec.Command(self, "touch", strconv.Itoa(9*megabytes/2)).CombinedOutput(); err != nil {
		return fmt.Errorf("touch memory: %v\n%s", err, out)
	}
	return nil
}

// touch allocates and touches that many MiB, but at most three quarters of the free memory.
func touch(megabytes string) error {
	wanted, err := strconv.Atoi(megabytes)
	if err != nil {
		return err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return err
	}
	size := min(wanted<<20, int(info.Freeram)*int(info.Unit)/4*3)
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for i := 0; i < size; i += os.Getpagesize() {
		memory[i] = 1
	}
	return unix.Munmap(memory)
}

// syncDisks syncs the files that a run has made.
func syncDisks(out string) error {
	made, err := filepath.Glob(filepath.Join(out, "disk.*"))
	if err == nil && len(made) == 0 {
		err = errors.New("it has made no disk")
	}
	for _, path := range made {
		err = errors.Join(err, syncFile(path))
	}
	return err
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// discard truncates the files of a run and moves them aside. Removing them would slow down the next run: ext4 avoids inodes that were freed
// recently. Files with several names are kept, since they may belong to the workload.
func discard(dir, to string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		case d.Type().IsRegular():
			return empty(path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return os.Rename(dir, filepath.Join(to, strconv.FormatInt(time.Now().UnixNano(), 10)))
}

func empty(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Nlink > 1 {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, 0)
}
