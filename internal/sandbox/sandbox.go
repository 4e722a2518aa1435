// Package sandbox runs a command in a tree that is not changed: what it writes goes to another directory, by overlayfs. The command is root of a user
// namespace and sees nothing of the host but that tree, /proc and the harmless devices; without Network not even the network. It takes no root.
//
// The program that runs a sandbox starts itself in the new namespaces ([Begin]), mounts everything there, and becomes the command.
package sandbox

import (
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
	Argv []string // the program is looked for in the tree
	Env  []string // "NAME=value", all of them
	Host string   // name of the host in the sandbox

	Network  bool // the network of the host, and its /etc/resolv.conf if the tree has one
	Root     bool // the caller has all IDs of the host, and so has the sandbox: see [HasIDs]
	UID, GID int  // the caller's, which are root's in the sandbox without Root

	Stdin          io.Reader
	Stdout, Stderr io.Writer

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
	Dir, Host string
	Argv, Env []string
	Network   bool
	Over      []Mount // instead of a tree
	Fuse      string  // path of fuse-overlayfs, which mounts where the kernel does not; "" if there is none
}

// Run runs a command to its end. The error is a [*ForbiddenError], a [*hosttool.ExitError] if the command did not return 0, ctx's cause when ctx ended
// and killed it, or says what could not be set up.
func Run(ctx context.Context, c Command) error {
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer told.Close()
	defer tell.Close()
	failure, fail, err := os.Pipe()
	if err != nil {
		return err
	}
	defer failure.Close()
	defer fail.Close()
	cmd, err := c.command(ctx)
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{told, fail}
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends that has started the child
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return forbidden(err)
	}
	told.Close()
	fail.Close()
	err = json.NewEncoder(tell).Encode(c.setup())
	tell.Close()
	text, readErr := io.ReadAll(io.LimitReader(failure, 64<<10))
	return c.result(ctx, cmd.Wait(), string(text), errors.Join(err, readErr))
}

func (c Command) setup() setup {
	fuse, _ := hosttool.Find("fuse-overlayfs")
	return setup{Dir: c.Dir, Host: c.Host, Argv: c.Argv, Env: c.Env, Network: c.Network, Over: c.over, Fuse: fuse}
}

func (c Command) command(ctx context.Context) (*exec.Cmd, error) {
	own := len(c.over) > 0 // the user stays the same
	users, err := mappings("uid", c.Root, c.UID, own)
	if err != nil {
		return nil, err
	}
	groups, err := mappings("gid", c.Root, c.GID, own)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", childArg)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.Env = []string{}
	flags := unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	switch {
	case own:
		flags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
	case !c.Network:
		flags |= unix.CLONE_NEWNET
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: uintptr(flags), UidMappings: users, GidMappings: groups, GidMappingsEnableSetgroups: c.Root, Pdeathsig: syscall.SIGKILL,
	}
	if own {
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT} // or the start of a program by another user than root drops them
	}
	return cmd, nil
}

// mappings returns the IDs of the namespace: all those that the caller has, or the caller's own, as itself or as root's.
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

func (c Command) result(ctx context.Context, err error, said string, told error) error {
	var exit *exec.ExitError
	cause, isRefused := strings.CutPrefix(said, refused)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run %s: %w", c.Argv[0], context.Cause(ctx))
	case isRefused:
		return &ForbiddenError{errors.New(cause)}
	case said != "":
		return errors.New(said)
	case told != nil:
		return told
	case errors.As(err, &exit):
		return &hosttool.ExitError{Argv: c.Argv, Code: exit.ExitCode(), Status: exit.String()}
	}
	return err
}
