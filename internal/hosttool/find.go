package hosttool

import (
	"os"
	"path/filepath"
	"strings"
)

// systemDirs are searched after PATH: Debian keeps mke2fs and mkfs.fat in directories that are not in the PATH of ordinary users.
var systemDirs = []string{"/usr/sbin", "/sbin", "/usr/local/sbin"}

// Find returns the absolute path of a program: the first one of that name in the absolute directories of PATH, then in /usr/sbin, /sbin and
// /usr/local/sbin. A name with a slash is a path. The error is a [*MissingError].
func Find(name string) (string, error) {
	if strings.Contains(name, "/") {
		if path, err := filepath.Abs(name); err == nil && executable(path) {
			return path, nil
		}
		return "", &MissingError{Tool: name}
	}
	for dir := range strings.SplitSeq(searchPath(), ":") {
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	tool, _ := known(name)
	return "", &MissingError{Tool: name, Package: tool.Package}
}

// searchPath returns PATH without relative directories, which would depend on the working directory, followed by systemDirs.
func searchPath() string {
	var dirs []string
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), systemDirs...) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, ":")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
