package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// An Owner says whose a file is in the sandbox, and its mode.
type Owner struct {
	Path     string // relative to a directory, "." for the directory itself
	UID, GID uint32
	Mode     uint32 // permission bits and set-ID bits; of a symlink it means nothing
}

// The chores that take the IDs of a sandbox, and so are done in its user namespace.
const (
	giveChore   = "give"
	listChore   = "list"
	takeChore   = "take"
	removeChore = "remove"
)

// Give gives files in a directory to their owners.
func (i Identity) Give(ctx context.Context, dir string, owners []Owner) error {
	return i.do(ctx, io.Discard, setup{Chore: giveChore, Dir: dir, Owners: owners})
}

// Take makes everything in a directory the caller's, readable and writable, and returns how it was: what is in the list has another owner or mode now.
func (i Identity) Take(ctx context.Context, dir string) (was []Owner, err error) {
	return i.owners(ctx, setup{Chore: takeChore, Dir: dir})
}

// Owners returns what Take would, and changes nothing.
func (i Identity) Owners(ctx context.Context, dir string) ([]Owner, error) {
	return i.owners(ctx, setup{Chore: listChore, Dir: dir})
}

func (i Identity) owners(ctx context.Context, s setup) (was []Owner, err error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	parsed := make(chan error, 1)
	go func() { parsed <- json.NewDecoder(from).Decode(&was) }()
	err = i.do(ctx, to, s)
	to.Close()
	if parseErr := <-parsed; err == nil {
		err = parseErr
	}
	return was, err
}

// Remove removes a directory with all that it has, whoever owns it.
func (i Identity) Remove(ctx context.Context, dir string) error {
	return i.do(ctx, io.Discard, setup{Chore: removeChore, Dir: dir})
}

// do runs the program in a user namespace for a chore.
func (i Identity) do(ctx context.Context, out io.Writer, s setup) error {
	cmd := start(ctx, 0)
	cmd.Stdout = out
	said, err := i.tell(ctx, cmd, s)
	if err = result(ctx, []string{s.Chore}, "a chore", said, err); err != nil {
		return fmt.Errorf("%s the files in %s: %w", s.Chore, s.Dir, err)
	}
	return nil
}

// chore does what the child was told.
func (s setup) chore() error {
	switch s.Chore {
	case giveChore:
		return give(s.Dir, s.Owners)
	case listChore, takeChore:
		was, err := take(s.Dir, s.Chore == takeChore)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.NewFile(1, "list")).Encode(was)
	case removeChore:
		return removeAll(s.Dir)
	}
	return errors.New("there is no chore " + s.Chore)
}

func give(dir string, owners []Owner) error {
	for _, o := range owners {
		path := filepath.Join(dir, o.Path)
		if err := os.Lchown(path, int(o.UID), int(o.GID)); err != nil {
			return err
		}
		if err := chmod(path, o.Mode); err != nil { // chown has removed set-ID bits
			return err
		}
	}
	return nil
}

// chmod sets the mode of what is no symlink.
func chmod(path string, mode uint32) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	if err := unix.Chmod(path, mode); err != nil {
		return &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// take walks a directory. The walk reads a directory after it was given, so that nothing is in the way.
func take(dir string, change bool) (was []Owner, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return &os.PathError{Op: "lstat", Path: path, Err: err}
		}
		open := st.Mode&0o7777 | 0o600
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			open |= 0o700
		}
		if st.Uid == 0 && st.Gid == 0 && st.Mode&0o7777 == open {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		was = append(was, Owner{Path: name, UID: st.Uid, GID: st.Gid, Mode: st.Mode & 0o7777})
		if !change {
			return nil
		}
		if err := os.Lchown(path, 0, 0); err != nil {
			return err
		}
		return chmod(path, open)
	})
	return was, err
}

// removeAll is os.RemoveAll for directories whose owner may not change them.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	filepath.WalkDir(path, func(path string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
