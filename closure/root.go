package closure

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxLinksFollowed is the largest number of symlinks on the way to a root, as in Linux (MAXSYMLINKS).
const maxLinksFollowed = 40

// ResolveRoot returns the item that a text names: a store path, or a path of this machine that leads into the store, such as "./result"
// or "/mnt/nix/var/nix/profiles/system". Symlinks are followed one at a time, since an item may itself be one. prefix is the path before the
// store directory on this machine, as in [OpenLocal]; absolute links below prefix are relative to it.
//
// A path that leads to a file inside an item is an [*InsideError].
func (f Flavor) ResolveRoot(text, prefix string) (Path, error) {
	at, err := filepath.Abs(text)
	if err != nil {
		return Path{}, fmt.Errorf("root %s: %w", text, err)
	}
	p, err := f.resolveRoot(at, strings.TrimRight(prefix, "/"))
	if err != nil {
		return Path{}, fmt.Errorf("root %s: %w", text, err)
	}
	return p, nil
}

// resolveRoot follows links until the path is in the store, and then stops: an item that is itself a symlink is the root, not its target.
func (f Flavor) resolveRoot(at, prefix string) (Path, error) {
	start := at
	for range maxLinksFollowed {
		if in := strings.TrimPrefix(at, prefix); strings.HasPrefix(in, f.StoreDir+"/") {
			return f.ParsePath(in)
		}
		next, err := follow(at, prefix)
		other := f.notOf(strings.TrimPrefix(at, prefix))
		if err != nil && other == "" {
			return Path{}, err
		}
		if next == "" && at == start && other != "" {
			return Path{}, fmt.Errorf("is not in %s%s", prefix+f.StoreDir, other)
		}
		if next == "" {
			return Path{}, fmt.Errorf("leads to %s, which is not in %s%s", quoted(at), prefix+f.StoreDir, other)
		}
		at = next
	}
	return Path{}, fmt.Errorf("more than %d symlinks in a row", maxLinksFollowed)
}

// follow resolves the symlinks among the directories of a path, or if there are none the symlink at the path itself. It returns "" when
// that is not a symlink.
func follow(at, prefix string) (string, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(at))
	if err != nil {
		return "", err
	}
	if real := filepath.Join(dir, filepath.Base(at)); real != at {
		return real, nil
	}
	if info, err := os.Lstat(at); err != nil || info.Mode()&os.ModeSymlink == 0 {
		return "", err
	}
	target, err := os.Readlink(at)
	switch {
	case err != nil:
		return "", err
	case !filepath.IsAbs(target):
		return filepath.Join(dir, target), nil
	// An absolute link below the prefix is made for a system whose root is the prefix.
	case strings.HasPrefix(at, prefix+"/") && !strings.HasPrefix(target, prefix+"/"):
		return filepath.Join(prefix, target), nil
	}
	return filepath.Clean(target), nil
}
