package hosttest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// essential are tools that every Debian machine has, of packages that cannot be removed, and what make test itself needs.
var essential = strings.Fields("bash blkid chmod cp dd dpkg dpkg-deb env go gzip ldd md5sum partx sh sha256sum tar touch true unshare")

var (
	uses = regexp.MustCompile(`hosttest\.(Need|Run|Find|Mounted)\(\w+, ("[^")]*"(?:, "[^")]*")*)`)
	word = regexp.MustCompile(`"([^"]*)"`)
)

// Every tool that a test names is in a package that testdata/hosttools installs.
func TestToolsAreInstalled(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(root, "testdata/hosttools"))
	if err != nil {
		t.Fatal(err)
	}
	lists, _, ok := strings.Cut(string(script), "\nnames() {")
	installed := strings.Fields(lists)
	if !ok || !slices.Contains(installed, "mke2fs") {
		t.Fatal("testdata/hosttools does not say which package has mke2fs")
	}
	for file, tools := range toolsByFile(t) {
		for _, tool := range tools {
			if !slices.Contains(installed, tool) && !slices.Contains(essential, tool) {
				t.Errorf("%s needs %s, which is in no list of testdata/hosttools", file, tool)
			}
		}
	}
}

// toolsByFile returns the names that the tests of the module pass to Need, Run, Find and Mounted.
func toolsByFile(t *testing.T) map[string][]string {
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "build":
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, use := range uses.FindAllStringSubmatch(string(text), -1) {
			names := word.FindAllStringSubmatch(use[2], -1)
			if use[1] != "Need" {
				names = names[:1] // the others are arguments
			}
			for _, name := range names {
				found[path] = append(found[path], name[1])
			}
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatal("no tools found: ", err)
	}
	return found
}
