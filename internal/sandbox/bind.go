package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Bound is a command for which directories are mounted over others, in a user namespace in which all else is as outside: the user, the working directory,
// the network and other processes.
type Bound struct {
	Over []Mount
	Argv []string // the program is looked for after the mounts
	Env  []string // "NAME=value", all of them

	Root     bool // as in a Command
	UID, GID int  // the caller's

	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// A Mount mounts a directory over another one.
type Mount struct {
	From, At string // At is the absolute path of a directory, which need not be there
}

// RunBound runs a command to its end. Errors are those of [Run].
func RunBound(ctx context.Context, b Bound) error {
	c := Command{Argv: b.Argv, Env: b.Env, Identity: Identity{Root: b.Root, UID: b.UID, GID: b.GID, same: true}, Stdin: b.Stdin, Stdout: b.Stdout, Stderr: b.Stderr, over: b.Over}
	return Run(ctx, c)
}

// An opened is a mount whose directory was cloned before anything was mounted over it.
type opened struct {
	Mount
	from *os.File
}

// bind mounts directories over others, in a new root directory if one of them is missing.
func (s setup) bind() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return errors.New(refused + "mount: " + err.Error())
	}
	cwd, err := os.Getwd()
	if err != nil {
		return err
	}
	var list []opened
	anew := map[string]bool{}
	for _, m := range s.Over {
		if m.At, err = real(m.At, anew); err != nil {
			return err
		}
		f, err := cloneMount(m.From)
		if err != nil {
			return err
		}
		list = append(list, opened{m, f})
	}
	if len(anew) > 0 {
		err = newRoot(list, anew)
	} else {
		err = bindAll(list, "")
	}
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return os.Chdir(cwd)
}

// bindAll mounts what a list says, below a directory.
func bindAll(list []opened, top string) error {
	for _, o := range list {
		if err := attach(o.from, top+o.At); err != nil {
			return err
		}
	}
	return nil
}

// cloneMount returns a file, with what is mounted below it, as a mount that is attached nowhere yet (open_tree(2), Linux 5.2).
func cloneMount(path string) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// attach mounts a clone at a path.
func attach(clone *os.File, at string) error {
	defer clone.Close()
	if err := unix.MoveMount(int(clone.Fd()), "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s at %s: %w", clone.Name(), at, err)
	}
	return nil
}

// real returns a path without symlinks. If there is nothing, it adds the directories above to those that are made anew, since they get a new entry.
func real(path string, anew map[string]bool) (string, error) {
	at, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return at, err
	}
	dir, err := real(filepath.Dir(path), anew)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		anew[at] = true
		if at == "/" {
			return filepath.Join(dir, filepath.Base(path)), nil
		}
	}
}

// newRoot makes a root directory in memory, in which the directories of a list are made, and everything of the old one is mounted: whole directories, but
// the entries of those that are made anew.
func newRoot(list []opened, anew map[string]bool) error {
	old, err := entriesOf("/", anew)
	if err != nil {
		return err
	}
	const top = "/tmp" // any directory that every machine has; it is mounted in the new root before that takes its place
	if err := unix.Mount("tmpfs", top, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return errors.New(refused + "mount a root directory: " + err.Error())
	}
	for _, e := range old {
		if err := e.copy(top); err != nil {
			return err
		}
	}
	for _, o := range list {
		if err := os.MkdirAll(top+o.At, 0o755); err != nil {
			return fmt.Errorf("make %s, which this machine does not have: %w", o.At, err)
		}
	}
	if err := bindAll(list, top); err != nil {
		return err
	}
	if err := unix.Chdir(top); err != nil {
		return err
	}
	return pivot()
}

// An entry is one of a directory that is made anew.
type entry struct {
	path string
	kind fs.FileMode
	link string   // target of a symlink
	from *os.File // nil for symlinks, and for directories that are made anew, too
}

// entriesOf returns the entries of a directory and of those below it that are made anew.
func entriesOf(dir string, anew map[string]bool) (list []entry, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		e := entry{path: filepath.Join(dir, n.Name()), kind: n.Type()}
		var below []entry
		switch {
		case anew[e.path]:
			below, err = entriesOf(e.path, anew)
		case e.kind == fs.ModeSymlink:
			e.link, err = os.Readlink(e.path)
		default:
			e.from, err = cloneMount(e.path)
		}
		if err != nil {
			return nil, err
		}
		list = append(append(list, e), below...)
	}
	return list, nil
}

// copy makes a symlink or a directory again, and mounts what is not made anew.
func (e entry) copy(top string) error {
	at := top + e.path
	switch {
	case e.kind == fs.ModeSymlink:
		return os.Symlink(e.link, at)
	case e.kind.IsDir():
		if err := os.Mkdir(at, 0o755); err != nil || e.from == nil {
			return err
		}
	default:
		if err := os.WriteFile(at, nil, 0o644); err != nil {
			return err
		}
	}
	return attach(e.from, at)
}
