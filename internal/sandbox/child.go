package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Begin is called first by a program that runs sandboxes. In the child it does not return.
func Begin() {
	if len(os.Args) != 2 {
		return
	}
	part, is := map[string]func(told, failure *os.File) error{childArg: child, waitArg: wait, jobArg: job}[os.Args[1]]
	if !is {
		return
	}
	runtime.LockOSThread()
	fail := os.NewFile(4, "failure")
	if os.Args[1] != waitArg {
		unix.CloseOnExec(4)
	}
	if err := part(os.NewFile(3, "setup"), fail); err != nil {
		fmt.Fprint(fail, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// die makes the calling process end with the one that has started it. That one reads what is said about a failure: if it does not any more, it has ended before. A
// process that gets other rights loses the wish (prctl(2)).
func die() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("end with the caller: %w", err)
	}
	failure := []unix.PollFd{{Fd: 4}}
	if n, err := unix.Poll(failure, 0); err == nil && n > 0 && failure[0].Revents&unix.POLLERR != 0 {
		return errors.New("the caller has ended")
	}
	return nil
}

// child sets everything up and becomes the command. It returns only with an error.
func child(told, _ *os.File) error {
	var s setup
	if err := json.NewDecoder(told).Decode(&s); err != nil {
		return fmt.Errorf("%s is for imprint itself", childArg)
	}
	told.Close()
	if err := die(); err != nil {
		return err
	}
	if s.Chore != "" {
		return s.chore()
	}
	if len(s.Over) > 0 {
		if err := s.bind(); err != nil {
			return err
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("set no_new_privs: %w", err)
		}
		return s.become()
	}
	if err := s.mount(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.Host)); err != nil {
		return fmt.Errorf("set the name of the host: %w", err)
	}
	if !s.Network {
		loopback()
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	unix.Umask(0o022)
	return s.become()
}

// mount mounts the tree and what belongs in it.
func (s setup) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return errors.New(refused + "mount: " + err.Error())
	}
	if err := unix.Chdir(s.Dir); err != nil {
		return fmt.Errorf("enter %s: %w", s.Dir, err)
	}
	if err := s.overlay(); err != nil {
		return err
	}
	root, err := unix.Open("root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the tree: %w", err)
	}
	t := target(root)
	if at, ok := t.dir("proc"); ok {
		if err := unix.Mount("proc", at.path(), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return errors.New(refused + "mount /proc: " + err.Error())
		}
	}
	if err := devices(t); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	if s.Network {
		bindResolver(t)
	}
	return s.binds(t)
}

// overlay mounts the tree. The names are short and relative, since all options of a mount have to fit in one page.
func (s setup) overlay() error {
	const layers = "lowerdir=lower,upperdir=upper,workdir=work"
	err := unix.Mount("overlay", "root", "overlay", 0, layers+",userxattr")
	if err == nil {
		return nil
	}
	if s.Fuse == "" {
		return errors.New(refused + "mount overlayfs: " + err.Error() + " (the kernel takes it in a user namespace from Linux 5.11 on; fuse-overlayfs is not installed)")
	}
	out, fuseErr := exec.Command(s.Fuse, "-o", layers, "root").CombinedOutput()
	if fuseErr != nil {
		return fmt.Errorf("mount overlayfs: %v; %s: %v\n%.2000s", err, s.Fuse, fuseErr, out)
	}
	return nil
}

// A target is a directory below which things are mounted, opened without following links: the tree may have any.
type target int

func (t target) path() string { return fmt.Sprintf("/proc/self/fd/%d", int(t)) }

// dir opens a directory in t; ok is false if there is none.
func (t target) dir(name string) (target, bool) {
	fd, err := unix.Openat(int(t), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	return target(fd), err == nil
}

// nodes are the devices that every program may use.
var nodes = []string{"null", "zero", "full", "random", "urandom", "tty"}

// devices makes a /dev of its own, if the tree has the directory.
func devices(root target) error {
	at, ok := root.dir("dev")
	if !ok {
		return nil
	}
	if err := unix.Mount("tmpfs", at.path(), "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=64k"); err != nil {
		return err
	}
	if at, ok = root.dir("dev"); !ok { // what is mounted there now
		return unix.ENOENT
	}
	for _, name := range nodes {
		fd, err := unix.Openat(int(at), name, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o666)
		if err != nil {
			return err
		}
		unix.Close(fd)
		if err := unix.Mount("/dev/"+name, at.path()+"/"+name, "", unix.MS_BIND, ""); err != nil && name != "tty" {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"} {
		if err := unix.Symlinkat(to, int(at), name); err != nil {
			return err
		}
	}
	return errors.Join(submount(at, "pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"), submount(at, "shm", "tmpfs", "mode=1777"))
}

func submount(at target, name, kind, options string) error {
	if err := unix.Mkdirat(int(at), name, 0o755); err != nil {
		return err
	}
	return unix.Mount(kind, at.path()+"/"+name, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
}

// bindResolver gives the tree the host's resolver, if it has a file for that. Without it names are not resolved, which the command notices.
func bindResolver(root target) {
	etc, ok := root.dir("etc")
	if !ok {
		return
	}
	fd, err := unix.Openat(int(etc), "resolv.conf", unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	var st unix.Stat_t
	if err == nil && unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		unix.Mount("/etc/resolv.conf", target(fd).path(), "", unix.MS_BIND, "")
	}
}

// enter makes the tree the root directory, and lets go of the old one.
func (s setup) enter() error {
	if err := unix.Chdir("root"); err != nil {
		return fmt.Errorf("enter the tree: %w", err)
	}
	return pivot()
}

// pivot makes the working directory the root directory.
func pivot() error {
	err := unix.PivotRoot(".", ".")
	if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	} else if errors.Is(err, unix.EINVAL) { // the host's root is an initramfs
		if err = unix.Mount(".", "/", "", unix.MS_MOVE, ""); err == nil {
			err = unix.Chroot(".")
		}
	}
	if err == nil {
		err = unix.Chdir("/")
	}
	if err != nil {
		return fmt.Errorf("make the tree the root: %w", err)
	}
	return nil
}

// loopback brings up the only interface. A program that needs it will notice if that fails.
func loopback() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if req, err := unix.NewIfreq("lo"); err == nil {
		req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
	}
}

// become replaces the program by the command, which is looked for in the tree.
func (s setup) become() error {
	if len(s.Argv) == 0 {
		return nil
	}
	if s.Work != "" {
		if err := unix.Chdir(s.Work); err != nil {
			return fmt.Errorf("enter %s in the tree: %w", s.Work, err)
		}
	}
	if s.Confine != nil {
		if err := s.Confine.confine(); err != nil {
			return err
		}
		if err := die(); err != nil {
			return err
		}
	}
	program := s.Argv[0]
	if strings.Contains(program, "/") {
		return fmt.Errorf("run %s in the tree: %w", program, unix.Exec(program, s.Argv, s.Env))
	}
	for _, v := range s.Env {
		list, ok := strings.CutPrefix(v, "PATH=")
		for dir := range strings.SplitSeq(list, ":") {
			if !ok || dir == "" {
				continue
			}
			if err := unix.Exec(path.Join(dir, program), s.Argv, s.Env); !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.EACCES) {
				return fmt.Errorf("run %s in the tree: %w", program, err)
			}
		}
	}
	return fmt.Errorf("run %s in the tree: there is no such program", program)
}
