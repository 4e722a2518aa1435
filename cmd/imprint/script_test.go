package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"imprint/closure/nar"
	"imprint/internal/hosttree"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"imprint": main})
}

// TestScript runs testdata/script/*.txtar, a script for each topic of the command line. UPDATE_SCRIPTS=1 rewrites the outputs in them.
// $STAND_INS is the directory of the stand-ins for host tools, $PROGRAM that of imprint, with nothing else in it.
func TestScript(t *testing.T) {
	standIns, err := filepath.Abs("testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("imprint") // where TestMain has put it
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") == "1",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", e.Getenv("PATH")+":/usr/sbin:/sbin")
			e.Setenv("STAND_INS", standIns)
			e.Setenv("PROGRAM", filepath.Dir(program))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"store":        makeStore,
			"fails":        fails,
			"nothing-left": nothingLeft,
			"spoil":        spoil,
			"spoil-image":  spoilImage,
		},
		Condition: haveTool,
	})
}

// spoilImage implements "spoil-image FILE TEXT": it changes the first byte of a text that the file has once.
func spoilImage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: spoil-image FILE TEXT")
	}
	name := ts.MkAbs(args[0])
	content, err := os.ReadFile(name)
	ts.Check(err)
	if n := bytes.Count(content, []byte(args[1])); n != 1 {
		ts.Fatalf("%s has %q %d times", args[0], args[1], n)
	}
	content[bytes.Index(content, []byte(args[1]))] ^= 1
	ts.Check(os.WriteFile(name, content, 0o644))
}

// haveTool implements the conditions [userns], that user namespaces are allowed, and [tool:NAME]: a host tool is there. Where all tools are required, one that is missing fails the script,
// which would otherwise end early without having looked at anything.
func haveTool(condition string) (bool, error) {
	if condition == "userns" {
		return exec.Command("unshare", "--user", "--map-root-user", "--mount", "true").Run() == nil, nil
	}
	name, ok := strings.CutPrefix(condition, "tool:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", condition)
	}
	_, err := exec.LookPath(name)
	if err != nil && os.Getenv("IMPRINT_REQUIRE_TOOLS") == "1" {
		return false, err
	}
	return err == nil, nil
}

// makeStore implements "store DIR ITEM[:REFERENCE,…]…": it moves each file or directory ITEM of the script to a store below DIR, registers
// them in DIR/registration, makes DIR/ITEM a link to the store path, and sets $ITEM to the store path.
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

// storePath returns a store path for a name, with an arbitrary digest.
func storePath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "/nix/store/" + nar.EncodeBase32(sum[:20]) + "-" + name
}

// fails implements "fails CODE PROGRAM ARG…": the program must exit with CODE and leave every file of the script as it was: no output, no
// manifest, no temporary file, and no change to older ones.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] == "0" {
		ts.Fatalf("usage: fails CODE PROGRAM ARG…")
	}
	before := snapshot(ts)
	err := ts.Exec(args[1], args[2:]...)
	if want := "exit status " + args[0]; err == nil || err.Error() != want {
		ts.Fatalf("%v ended with %v, not %s", args[1:], err, want)
	}
	if d := cmp.Diff(before, snapshot(ts)); d != "" {
		ts.Fatalf("%v left something behind:\n%s", args[1:], d)
	}
}

// snapshot returns the mode, modification time and content of every file below the script's directory.
func snapshot(ts *testscript.TestScript) map[string]string {
	files, root := map[string]string{}, ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode())
		switch d.Type() {
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%v %v %d bytes %x", info.Mode(), info.ModTime(), len(content), sha256.Sum256(content))
		case fs.ModeSymlink:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		files[strings.TrimPrefix(path, root)] = what
		return nil
	}))
	return files
}

// nothingLeft implements "nothing-left DIR [NAME…]": the directory contains NAMEs and nothing else, not even hidden files.
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: nothing-left DIR [NAME…]")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := slices.Sorted(slices.Values(args[1:])); !slices.Equal(names, want) {
		ts.Fatalf("%s holds %q, not %q", args[0], names, want)
	}
}

// spoil implements "spoil FILE": it changes the first byte of FILE, even if it is read-only.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	content[0]++
	ts.Check(os.Remove(path))
	ts.Check(os.WriteFile(path, content, 0o444))
}

// Main takes arguments, environment and outputs from its world, not from the process.
func TestMainInProcess(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "never") // Main must not see it
	file := filepath.Join(t.TempDir(), "image.toml")
	description := "name = \"data\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	for _, test := range []struct {
		text, epoch string
		code        int
		out, err    string // regular expressions
	}{
		{description, "", exitDone, `^data: raw disk .* epoch 1, `, `^reading .*\nlaying out .*\n$`},
		{description, "1700000000", exitDone, `epoch 1700000000, `, ``},
		{description, "soon", exitUsage, `^$`, `^imprint: SOURCE_DATE_EPOCH is "soon"`},
		{"name = 1\n", "", exitInvalid, `^$`, `image.toml:1:`},
	} {
		writeFile(t, file, test.text)
		var out, err strings.Builder
		env := map[string]string{"SOURCE_DATE_EPOCH": test.epoch}
		code := Main(t.Context(), world{&out, &err, []string{"plan", file}, func(name string) string { return env[name] }})
		if code != test.code || !matches(test.out, out.String()) || !matches(test.err, err.String()) {
			t.Errorf("epoch %q: exit code %d, output %q, errors %q", test.epoch, code, out.String(), err.String())
		}
	}
}

// Help that cannot be printed is an error.
func TestHelpWithoutOutput(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"build", "--help"}, {"help", "plan"}} {
		var err strings.Builder
		if code := Main(t.Context(), world{noSpace{}, &err, args, func(string) string { return "" }}); code != exitFailed || !strings.Contains(err.String(), "no space") {
			t.Errorf("%q: exit code %d, %q", args, code, err.String())
		}
	}
}

type noSpace struct{}

func (noSpace) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func matches(pattern, text string) bool {
	return regexp.MustCompile("(?s)" + pattern).MatchString(text)
}

// A canceller cancels a context when a word is written to it.
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

// A build that is interrupted, at whatever stage, leaves no files and does not change an older image.
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
				t.Errorf("%s, interrupted in %s: the older image has changed", name, stage)
			}
		}
	}
}
