package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure/nar"
	"imprint/internal/hosttest"
	"imprint/internal/hosttree"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"imprint": main})
}

// TestScript runs the command line as users do: testdata/script/*.txtar.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") == "1",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", e.Getenv("PATH")+":/usr/sbin:/sbin")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"store": makeStore,
			"exits": exits,
			"empty": empty,
			"spoil": spoil,
		},
		Condition: func(cond string) (bool, error) {
			tool, ok := strings.CutPrefix(cond, "tool:")
			if !ok {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			hosttest.Need(t, tool)
			return true, nil
		},
	})
}

// makeStore implements "store DIR ITEM[:REFERENCE,…]…": it moves each file or directory ITEM of the script into a store below DIR,
// registers all in DIR/registration, makes a link DIR/ITEM to the store path, and sets $ITEM to it.
func makeStore(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: store DIR ITEM[:REFERENCE,…]…")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir+"/nix/store", 0o755))
	var registration strings.Builder
	for _, arg := range args[1:] {
		name, refs, _ := strings.Cut(arg, ":")
		path := storePath(name)
		ts.Check(os.Rename(ts.MkAbs(name), dir+path))
		node, err := new(hosttree.Scanner).Read(dir + path)
		ts.Check(err)
		digest, size, err := nar.Hash(node)
		ts.Check(err)
		list := strings.FieldsFunc(refs, func(r rune) bool { return r == ',' })
		fmt.Fprintf(&registration, "%s\n%x\n%d\n\n%d\n", path, digest, size, len(list))
		for _, ref := range list {
			fmt.Fprintln(&registration, storePath(ref))
		}
		ts.Check(os.Symlink(path, dir+"/"+name))
		ts.Setenv(strings.ReplaceAll(name, "-", "_"), path)
	}
	ts.Check(os.WriteFile(dir+"/registration", []byte(registration.String()), 0o644))
}

// storePath is a store path for a name; its digest means nothing.
func storePath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "/nix/store/" + nar.EncodeBase32(sum[:20]) + "-" + name
}

// exits implements "exits CODE imprint ARG…": the program must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	code := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != code {
		ts.Fatalf("%v ended with %s, not %s", args[1:], got, code)
	}
}

// empty implements "empty DIR": the directory is empty, hidden files counted.
func empty(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		ts.Fatalf("%s holds %s", args[0], e.Name())
	}
}

// spoil implements "spoil FILE": it changes the first byte of FILE, whatever its mode.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	content[0]++
	ts.Check(os.Remove(path))
	ts.Check(os.WriteFile(path, content, 0o444))
}

// Main must not depend on the process: what it prints and the code it gives are all there is.
func TestMainInProcess(t *testing.T) {
	var out, err strings.Builder
	file := filepath.Join(t.TempDir(), "bad.toml")
	if e := os.WriteFile(file, []byte("name = 1\n"), 0o644); e != nil {
		t.Fatal(e)
	}
	code := Main(context.Background(), world{&out, &err, []string{"plan", file}, func(string) string { return "" }})
	if code != exitInvalid || out.Len() > 0 || !strings.Contains(err.String(), "bad.toml:1:") {
		t.Errorf("exit code %d, output %q, errors %q", code, out.String(), err.String())
	}
	code = Main(context.Background(), world{&out, &err, []string{"plan", file}, func(string) string { return "soon" }})
	if code == exitDone {
		t.Error("a SOURCE_DATE_EPOCH that is no number was taken")
	}
}

// canceller ends the context as soon as a word is written.
type canceller struct {
	word   string
	cancel context.CancelFunc
}

func (c canceller) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.word) {
		c.cancel()
	}
	return len(p), nil
}

// A build that is interrupted, whatever it is doing, leaves nothing behind, and an older image as it was.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	file, out := filepath.Join(dir, "image.toml"), filepath.Join(dir, "out")
	description := `
name = "big"
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "%s"
%s
`
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("content\n", 4<<20)
	if err := os.WriteFile(filepath.Join(dir, "content"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(out, "old.raw")
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"none":   fmt.Sprintf(description, "none", `content = "content"`),
		"ext4":   fmt.Sprintf(description, "ext4", "[[partition.file]]\npath = \"/x\"\nsource = \"content\""),
		"mke2fs": fmt.Sprintf(description, "ext4", "engine = \"mke2fs\"\n[[partition.file]]\npath = \"/x\"\nsource = \"content\""),
	} {
		for _, stage := range []string{"resolve", "layout", "write"} {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			code := Main(ctx, world{canceller{`"stage":"` + stage + `"`, cancel}, io.Discard, []string{"build", file, "-o", old, "--json"}, os.Getenv})
			cancel()
			entries, err := os.ReadDir(out)
			if err != nil {
				t.Fatal(err)
			}
			if code != exitInterrupted || len(entries) != 1 {
				t.Errorf("%s, interrupted in %s: exit code %d, left are %v", name, stage, code, entries)
			}
			if got, _ := os.ReadFile(old); string(got) != "old" {
				t.Errorf("%s, interrupted in %s: the older image is not what it was", name, stage)
			}
		}
	}
}
