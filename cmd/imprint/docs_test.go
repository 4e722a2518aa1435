package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/hosttest"
)

// A block is a code block of a page. In the comment before it, needs is why its commands are checked and not run, and file the name that it is
// written to for the commands after it.
type block struct{ page, needs, file, language, text string }

var blockForm = regexp.MustCompile("(?ms)^(?:<!-- (needs|file): ([^ ]+) -->\n)?```([a-z]+)\n(.*?)^```$")

// blocksOf returns the code blocks of a page that have a language.
func blocksOf(t *testing.T, page string) (blocks []block) {
	t.Helper()
	for _, m := range blockForm.FindAllStringSubmatch(string(read(t, page)), -1) {
		b := block{page: page, language: m[3], text: m[4]}
		switch m[1] {
		case "needs":
			b.needs = m[2]
			if !slices.Contains([]string{"root", "network", "qemu", "nix", "guix", "userns"}, b.needs) {
				t.Errorf("%s: a block needs %s, which this test does not know", page, b.needs)
			}
		case "file":
			b.file = m[2]
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// A command is a command of a console block, and the output that the page shows for it.
type command struct{ line, output string }

// commands returns the commands of a console block, after the prompts "$ " and, for root, "# ".
func (b block) commands() (commands []command) {
	continued := false
	for line := range strings.Lines(b.text) {
		prompt := strings.HasPrefix(line, "$ ") || b.needs == "root" && strings.HasPrefix(line, "# ")
		switch {
		case continued:
			commands[len(commands)-1].line += line
		case prompt:
			commands = append(commands, command{line: line[2:]})
		case len(commands) > 0:
			commands[len(commands)-1].output += line
		}
		continued = (prompt || continued) && strings.HasSuffix(line, "\\\n")
	}
	return commands
}

// Every command in docs is run, in the order of its page, and prints what the page shows; … stands for anything. Blocks that need root, the
// network, QEMU, nixpkgs or user namespaces are checked for syntax and for flags of imprint.
func TestDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatal("no pages: ", err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			dir := ""
			for _, b := range blocksOf(t, page) {
				if dir == "" {
					dir = docsWorld(t)
				}
				switch {
				case b.file != "":
					writeFile(t, filepath.Join(dir, b.file), b.inWorld())
				case b.language != "console":
					t.Errorf("%s: a block of %s has no file", page, b.language)
				}
				switch b.language {
				case "console":
					b.run(t, dir)
				case "nix":
					hosttest.Run(t, "nix-instantiate", "--store", "dummy://", "--parse", filepath.Join(dir, b.file))
				}
			}
		})
	}
}

// docsWorld makes the directory that the commands of a page run in: a synthetic store, one of Guix, and, as the pages have them, a link to a system in it, its
// registration, and the archive of a Debian system.
func docsWorld(t *testing.T) string {
	t.Helper()
	dir := public(t)
	s, system, err := demostore.Synthetic(dir, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	if err := demostore.SyntheticArchive(filepath.Join(dir, "rootfs.tar.zst")); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(dir, "guix"))
	if _, _, err := demostore.GuixSynthetic(filepath.Join(dir, "guix"), "x86_64"); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(dir, "closure-info"))
	writeFile(t, filepath.Join(dir, "closure-info/registration"), s.Registration())
	if err := os.Symlink(system.Path, filepath.Join(dir, "result")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inWorld is the text of a block for a file, with the store of the test in place of that of the machine.
func (b block) inWorld() string {
	switch {
	case b.language != "toml" || !strings.Contains(b.text, "[[closure]]"):
		return b.text
	case strings.Contains(b.text, `flavor = "guix"`):
		text := strings.NewReplacer(`"result"`, `"guix/system"`, `"graph"`+"\n\n[[closure]]", `"guix/graph"`+"\n\n[[closure]]").Replace(b.text)
		if strings.Contains(text, "[[source]]\n") {
			return strings.Replace(text, "[[source]]\n", "[[source]]\npath = \"guix/store\"\n", 1)
		}
		return text + "\n[[source]]\npath = \"guix/store\"\n"
	case regexp.MustCompile(`(?m)^(image|url|export)\s*=`).MatchString(b.text):
		return b.text
	case strings.Contains(b.text, "[[source]]\n"):
		return strings.Replace(b.text, "[[source]]\n", "[[source]]\npath = \"store\"\n", 1)
	}
	return b.text + "\n[[source]]\npath = \"store\"\nregistration = \"registration\"\n"
}

// run runs or checks the commands of a block.
func (b block) run(t *testing.T, dir string) {
	t.Helper()
	if len(b.commands()) == 0 {
		t.Errorf("%s: a console block without commands:\n%s", b.page, b.text)
	}
	tools, err := filepath.Abs("testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.commands() {
		checkFlags(t, c.line)
		if b.needs != "" {
			hosttest.Run(t, "sh", "-n", "-c", c.line)
			continue
		}
		cmd := exec.Command("sh", "-ec", c.line)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + tools + ":" + os.Getenv("PATH"), "HOME=" + dir}
		var failure strings.Builder
		cmd.Stderr = &failure
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %s: %v\n%s", b.page, c.line, err, failure.String())
		}
		if !c.shows(string(out)) {
			t.Errorf("%s: %s prints\n%s\nand the page shows\n%s", b.page, c.line, out, c.output)
		}
	}
}

// shows reports whether the page shows an output: … stands for anything in a line, and alone for any lines. The end may be left out.
func (c command) shows(out string) bool {
	pattern := "^"
	for line := range strings.Lines(c.output) {
		if line == "…\n" {
			pattern += `(.*\n)*`
			continue
		}
		pattern += strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")
	}
	return regexp.MustCompile(pattern).MatchString(out)
}

var calls = regexp.MustCompile(`(?:^|[ \n;&|(])imprint ((?:'[^']*'|"[^"]*"|[^;&|>)\n'"])*)`)

// checkFlags checks every call of imprint in a shell script, and returns how many there are.
func checkFlags(t *testing.T, script string) int {
	t.Helper()
	found, wrong := wrongCalls(script)
	for _, text := range wrong {
		t.Error(text)
	}
	return found
}

// wrongCalls returns the number of calls of imprint in a shell script, and what is wrong with them: the command, a flag, or the number of arguments.
func wrongCalls(script string) (found int, wrong []string) {
	for _, call := range calls.FindAllStringSubmatch(script, -1) {
		found++
		r := newRoot(world{io.Discard, io.Discard, nil, os.Getenv})
		c, rest, err := r.cmd.Find(strings.Fields(call[1]))
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err == nil && c.Args != nil {
			err = c.Args(c, c.Flags().Args())
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("imprint %s: %v", call[1], err))
		}
	}
	return found, wrong
}

// The checks of this file find what is wrong.
func TestDocChecks(t *testing.T) {
	for script, want := range map[string]int{
		"imprint build a.toml -o b.raw --sha256\n": 0, "cd out && imprint plan a.toml --json | jq .": 0, "imprint schema > s.json; imprint version": 0,
		"imprint biuld a.toml": 1, "imprint build a.toml --fast": 1, "x; imprint plan": 1, "imprint man a b && imprint version 3": 2,
	} {
		if found, wrong := wrongCalls(script); found == 0 || len(wrong) != want {
			t.Errorf("%s: %d calls, wrong are %q", script, found, wrong)
		}
	}
	for _, test := range []struct {
		shown, out string
		want       bool
	}{
		{"a …\n", "a b\n", true}, {"a …\n", "b\n", false}, {"…\nc\n", "a\nb\nc\nd\n", true}, {"…\na\n", "a\n", true},
		{"a … c\n", "a b\nx c\n", false}, {"a\n", "", false}, {"", "a\n", true},
	} {
		if got := (command{output: test.shown}).shows(test.out); got != test.want {
			t.Errorf("%q shows %q: %v", test.shown, test.out, got)
		}
	}
	commands := block{text: "$ one \\\n  more\nsaid\n$ two\n"}.commands()
	if len(commands) != 2 || commands[0] != (command{"one \\\n  more\n", "said\n"}) {
		t.Errorf("commands are %q", commands)
	}
}

// The calls in the README are right too.
func TestReadmeFlags(t *testing.T) {
	found := 0
	for _, b := range blocksOf(t, "../../README.md") {
		for _, c := range b.commands() {
			found += checkFlags(t, c.line)
		}
	}
	if found == 0 {
		t.Error("no calls found")
	}
}

// Every link of the pages to a file leads to one.
func TestDocLinks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, page := range append(pages, "../../README.md") {
		for _, m := range link.FindAllStringSubmatch(string(read(t, page)), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
