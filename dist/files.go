package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A file of an archive. Its path is relative to the prefix that it is installed below, such as /usr.
type file struct {
	path    string
	mode    int64
	content []byte
}

// completions are where shells look for completions, below the prefix.
var completions = []struct{ shell, path string }{
	{"bash", "share/bash-completion/completions/imprint"},
	{"fish", "share/fish/vendor_completions.d/imprint.fish"},
	{"zsh", "share/zsh/site-functions/_imprint"},
}

// shared returns the files that are the same for every architecture: documentation, manual pages and completions. The program prints the
// latter two itself.
func (r release) shared() ([]file, error) {
	tmp, err := os.MkdirTemp("", "imprint-dist-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	host, err := output("go", "env", "GOHOSTARCH")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(tmp, "imprint")
	if err := r.compile(program, host); err != nil {
		return nil, err
	}
	var files []file
	for _, c := range completions {
		text, err := output(program, "completion", c.shell)
		if err != nil {
			return nil, err
		}
		files = append(files, file{c.path, 0o644, []byte(text + "\n")})
	}
	pages := filepath.Join(tmp, "man")
	if err := os.Mkdir(pages, 0o755); err != nil {
		return nil, err
	}
	date := fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.epoch.Unix()) // of the pages
	if _, err := output("env", date, program, "man", pages); err != nil {
		return nil, err
	}
	if files, err = appendTree(files, pages, "share/man"); err != nil {
		return nil, err
	}
	return documentation(files)
}

// documentation appends the texts of the source tree.
func documentation(files []file) ([]file, error) {
	const doc = "share/doc/imprint"
	for from, to := range map[string]string{"LICENSE": "copyright", "README.md": "README.md", "CHANGELOG.md": "CHANGELOG.md",
		"configs/imprint.schema.json": "imprint.schema.json"} {
		content, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		files = append(files, file{path.Join(doc, to), 0o644, content})
	}
	for from, to := range map[string]string{"docs": "docs", "nix": "nix"} {
		var err error
		if files, err = appendTree(files, from, path.Join(doc, to)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// appendTree appends the regular files below a directory of the host as files below to.
func appendTree(files []file, from, to string) ([]file, error) {
	root := os.DirFS(from)
	names, err := regularFiles(root)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{path.Join(to, name), 0o644, content})
	}
	return files, nil
}

// directories returns the directories that the files need, parents first.
func directories(files []file) []string {
	known := map[string]bool{}
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			known[dir] = true
		}
	}
	return sorted(known)
}

// isManual reports whether a file is a manual page.
func isManual(f file) bool { return strings.HasPrefix(f.path, "share/man/") }
