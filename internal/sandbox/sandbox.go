// Package sandbox runs a command in a tree that is not changed: what it writes goes to another directory, by overlayfs. The command is root of a user
// namespace and sees nothing of the host but that tree, /proc and the harmless devices; without Network not even the network. It takes no root.
//
// The program that runs a sandbox starts itself in the new namespaces ([Begin]), mounts everything there, and becomes the command.
package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"imprint/internal/hosttool"

	"golang.org/x/sys/unix"
)

// A Command is what runs in a sandbox.
type Command struct {
	// Dir has the directories upper, which takes what is written, work, which overlayfs needs beside it, and root, where the tree is mounted; lower is the
	// tree, or a symlink to it.
	Dir  string
	Argv []string // the program is looked for in the tree; nil only sets everything up
	Env  []string // "NAME=value", all of them
	Host string   // name of the host in the sandbox

	Work string // working directory, "" for the top

	Network bool // the network of the host, and its /etc/resolv.conf if the tree has one
	Identity
	Binds   []Bind
	Confine *Confinement // nil lets it do what root of the namespace can

	Stdin          io.Reader `json:"-"`
	Stdout, Stderr io.Writer `json:"-"`

	over []Mount // of a Bound, which has no tree
}

// A ForbiddenError says that the host does not let the caller make a sandbox.
type ForbiddenError struct{ Err error }

// Error implements error.
func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("the host forbids user namespaces, in which commands run: %v", e.Err)
}

// Unwrap returns the cause.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Hint says what allows user namespaces.
func (e *ForbiddenError) Hint() string {
	return "root allows them with sysctl user.max_user_namespaces=10000, on Debian kernel.unprivileged_userns_clone=1, on Ubuntu " +
		"kernel.apparmor_restrict_unprivileged_userns=0; in a container, start it with them (docker run --security-opt seccomp=unconfined)"
}

// childArg is the argument that tells the program that it is the child.
const childArg = "sandbox-child"

// setup is what the child is told.
type setup struct {
	Dir, Host, Work string
	Argv, Env       []string
	Network         bool
	Binds           []Bind
	Confine         *Confinement
	Fuse            string // path of fuse-overlayfs, which mounts where the kernel does not; "" if there is none

	Over   []Mount // instead of a tree
	Chore  string  // what to do instead, without a tree; see [Chore]
	Owners []Owner // to give
}

// Run runs a command to its end. The error is a [*ForbiddenError], a [*hosttool.ExitError] if the command did not return 0, ctx's cause when ctx ended
// and killed it, or says what could not be set up.
func Run(ctx context.Context, c Command) error {
	flags := unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if !c.Network {
		flags |= unix.CLONE_NEWNET
	}
	if len(c.over) > 0 {
		flags = unix.CLONE_NEWNS
	}
	cmd := start(ctx, flags)
	if len(c.over) > 0 {
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT} // or the start of a program by another user than root drops them
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	name := "a program"
	if len(c.Argv) > 0 {
		name = c.Argv[0]
	}
	said, err := c.Identity.tell(ctx, cmd, c.setup())
	return result(ctx, c.Argv, name, said, err)
}

func (c Command) setup() setup {
	fuse, _ := hosttool.Find("fuse-overlayfs")
	return setup{Dir: c.Dir, Host: c.Host, Work: c.Work, Argv: c.Argv, Env: c.Env, Network: c.Network, Binds: c.Binds, Confine: c.Confine, Over: c.over, Fuse: fuse}
}

// start returns the program itself, to be started in a user namespace and others.
func start(ctx context.Context, flags int) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", childArg)
	cmd.Args[0] = os.Args[0]
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(flags | unix.CLONE_NEWUSER), Pdeathsig: syscall.SIGKILL}
	return cmd
}

// tell runs the child to its end, and returns what it says about a failure. The errors are those of the child, and of the host.
func (i Identity) tell(ctx context.Context, cmd *exec.Cmd, s setup) (said string, err error) {
	if err := i.mappings(cmd); err != nil {
		return "", err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer told.Close()
	defer tell.Close()
	failure, fail, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer failure.Close()
	defer fail.Close()
	cmd.ExtraFiles = []*os.File{told, fail}
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends that has started the child
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return "", forbidden(err)
	}
	told.Close()
	fail.Close()
	mapErr := i.introduce(ctx, cmd.Process.Pid, tell)
	if mapErr == nil {
		err = json.NewEncoder(tell).Encode(s)
	}
	tell.Close()
	text, readErr := io.ReadAll(io.LimitReader(failure, 64<<10))
	waitErr := cmd.Wait()
	if mapErr != nil && ctx.Err() == nil {
		return "", mapErr
	}
	return string(text), cmp.Or(waitErr, err, readErr)
}

// introduce maps the IDs of the child, if they are not, and lets it go on.
func (i Identity) introduce(ctx context.Context, pid int, tell *os.File) error {
	if i.Sub == nil || i.Root {
		return nil
	}
	if err := i.Sub.mapIDs(ctx, pid, i); err != nil {
		return fmt.Errorf("map the IDs of the sandbox: %v", err) // what the program returned is not what the command did
	}
	_, err := tell.Write([]byte{0})
	return err
}

// mappings returns the IDs of a namespace: all those that the caller has, or the caller's own, as itself or as root's.
func mappings(what string, all bool, own int, same bool) ([]syscall.SysProcIDMap, error) {
	if !all {
		inside := 0
		if same {
			inside = own
		}
		return []syscall.SysProcIDMap{{ContainerID: inside, HostID: own, Size: 1}}, nil
	}
	return ownMap(what)
}

// ownMap returns the IDs that the caller's own namespace has, each as itself.
func ownMap(what string) (list []syscall.SysProcIDMap, err error) {
	text, err := os.ReadFile("/proc/self/" + what + "_map")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var inside, outside, size int
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			return nil, fmt.Errorf("read /proc/self/%s_map: %w", what, err)
		}
		list = append(list, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
	}
	return list, nil
}

// HasIDs reports whether the user with an ID may give files to others: whether it is root, and not in a user namespace that has no other IDs.
func HasIDs(uid int) bool {
	total := 0
	for _, what := range []string{"uid", "gid"} {
		list, err := ownMap(what)
		if err != nil || uid != 0 {
			return false
		}
		for _, m := range list {
			total += m.Size
		}
	}
	return total > 2
}

// forbidden returns the error of a start. What the kernel says when it refuses namespaces depends on who forbids them (clone(2), user_namespaces(7)).
func forbidden(err error) error {
	for _, errno := range []error{unix.EPERM, unix.ENOSPC, unix.EUSERS, unix.EACCES, unix.ENOSYS, unix.EINVAL} {
		if errors.Is(err, errno) {
			return &ForbiddenError{err}
		}
	}
	return err
}

// refused begins what the child says when it is the host that does not let it.
const refused = "forbidden: "

// result returns the error of a child that has ended.
func result(ctx context.Context, argv []string, name, said string, err error) error {
	var exit *exec.ExitError
	cause, isRefused := strings.CutPrefix(said, refused)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run %s: %w", name, context.Cause(ctx))
	case isRefused:
		return &ForbiddenError{errors.New(cause)}
	case said != "":
		return errors.New(said)
	case errors.As(err, &exit):
		return &hosttool.ExitError{Argv: argv, Code: exit.ExitCode(), Status: exit.String()}
	}
	return err
}

// Environment returns the environment of commands, with the time that SOURCE_DATE_EPOCH is set to, in seconds since 1970. Nothing of it is the caller's.
func Environment(epoch int64) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC",
		"DEBIAN_FRONTEND=noninteractive", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch),
	}
}
