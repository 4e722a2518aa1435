package nixtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// files compares names and kinds of all files of the closure with the source's, and checks the metadata. Nix checks the contents.
func (j judge) files() {
	j.Helper()
	for _, item := range j.closure {
		j.sameNames(item)
		err := filepath.WalkDir(filepath.Join(j.Root, item), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return j.file(path, filepath.Join(j.source.Root, strings.TrimPrefix(path, j.Root)))
		})
		if err != nil {
			j.Error(err)
		}
	}
	if st, err := os.Stat(filepath.Join(j.Root, "nix/store")); err != nil || st.Mode().Perm()&0o755 != 0o755 {
		j.Errorf("the store directory has mode %v, %v", st.Mode(), err)
	}
}

func (j judge) sameNames(item string) {
	j.Helper()
	names := func(root string) (all []string) {
		filepath.WalkDir(filepath.Join(root, item), func(path string, _ fs.DirEntry, _ error) error {
			all = append(all, strings.TrimPrefix(path, root))
			return nil
		})
		return all
	}
	j.equal("names in "+item, names(j.Root), names(j.source.Root))
}

func (j judge) file(path, original string) error {
	j.Helper()
	var got, want unix.Stat_t
	if err := unix.Lstat(path, &got); err != nil {
		return err
	}
	if err := unix.Lstat(original, &want); err != nil {
		return err
	}
	name := strings.TrimPrefix(path, j.Root)
	if got.Mode != canonicalMode(want.Mode) {
		j.Errorf("%s has mode %o, the source %o", name, got.Mode, want.Mode)
	}
	symlink := got.Mode&unix.S_IFMT == unix.S_IFLNK
	if (got.Mtim.Sec != 1 || got.Mtim.Nsec != 0) && (j.Mounted || !symlink) { // debugfs does not set times of symlinks
		j.Errorf("%s was modified at %d.%09d", name, got.Mtim.Sec, got.Mtim.Nsec)
	}
	if j.Mounted && (got.Uid != 0 || got.Gid != 0) {
		j.Errorf("%s belongs to %d:%d", name, got.Uid, got.Gid)
	}
	if n, err := unix.Llistxattr(path, nil); n > 0 {
		j.Errorf("%s has extended attributes, %v", name, err)
	}
	if symlink {
		return j.sameTarget(path, original)
	}
	if got.Mode&unix.S_IFMT == unix.S_IFREG && got.Size != want.Size {
		j.Errorf("%s has %d bytes, the source %d", name, got.Size, want.Size)
	}
	return nil
}

func (j judge) sameTarget(path, original string) error {
	j.Helper()
	got, err := os.Readlink(path)
	if err != nil {
		return err
	}
	want, err := os.Readlink(original)
	if got != want {
		j.Errorf("%s leads to %q, the source to %q", strings.TrimPrefix(path, j.Root), got, want)
	}
	return err
}

// canonicalMode returns what Nix makes of a mode: nobody may write, and everybody may execute if the owner may.
func canonicalMode(mode uint32) uint32 {
	switch {
	case mode&unix.S_IFMT == unix.S_IFLNK:
		return mode
	case mode&0o100 != 0:
		return mode&unix.S_IFMT | 0o555
	}
	return mode&unix.S_IFMT | 0o444
}
