// Package imagetest takes descriptions through all stages in tests, with stores in a temporary directory of the test.
package imagetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure/nar"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/image/resolve"
	"imprint/image/write"
	"imprint/internal/hosttree"
)

// A World is a source store and a description in a temporary directory.
type World struct {
	t   testing.TB
	Dir string
}

// New returns an empty World.
func New(t testing.TB) World { return World{t, t.TempDir()} }

// File writes a file below the directory.
func (w World) File(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// Path returns a store path for a name. The digest in it has no meaning.
func (w World) Path(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "/nix/store/" + nar.EncodeBase32(sum[:20]) + "-" + name
}

// Item makes a store item of files, name to content ("-> x" is a symlink), and registers it.
func (w World) Item(name string, refs []string, files map[string]string) string {
	w.t.Helper()
	path := w.Path(name)
	for file, content := range files {
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			w.File("store"+path+"/"+file, "")
			os.Remove(w.Dir + "/store" + path + "/" + file)
			if err := os.Symlink(target, w.Dir+"/store"+path+"/"+file); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		w.File("store"+path+"/"+file, content)
	}
	node, err := new(hosttree.Scanner).Read(w.Dir + "/store" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	digest, size, err := nar.Hash(node)
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := os.OpenFile(w.Dir+"/registration", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\n%x\n%d\n\n%d\n", path, digest, size, len(refs))
	for _, r := range refs {
		fmt.Fprintln(f, r)
	}
	return path
}

// Plan resolves a description, to which it adds name, arch and source.
func (w World) Plan(text string) (*plan.Plan, error) { return w.resolve(text, false) }

// PlanUnsealed is Plan for a build that finds hash trees itself.
func (w World) PlanUnsealed(text string) (*plan.Plan, error) { return w.resolve(text, true) }

func (w World) resolve(text string, later bool) (*plan.Plan, error) {
	w.t.Helper()
	text = "name = \"test\"\narch = \"x86_64\"\n" + text + "\n[[source]]\npath = \"store\"\nregistration = \"registration\"\n"
	d, err := description.Parse("test.toml", []byte(text))
	if err != nil {
		return nil, err
	}
	in := resolve.Inputs{Dir: w.Dir, HostDirs: []string{w.Dir + "/usr"}, OutDir: w.Dir, Scratch: w.Dir, BuildStore: w.Dir + "/build-store", SealLater: later}
	return resolve.Plan(context.Background(), d, in)
}

// Build writes a plan and returns the bytes of the disk.
func Build(t testing.TB, p *plan.Plan, o write.Options) ([]byte, *plan.Layout, *write.Result) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := write.Image(context.Background(), f, p, l, o)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return content, r.Layout, r
}
