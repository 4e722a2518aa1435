package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/diag"
	"imprint/internal/hosttest"

	"go.yaml.in/yaml/v3"
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
			if !slices.Contains([]string{"root", "network", "qemu", "nix"}, b.needs) {
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
// network, QEMU or nixpkgs are checked for syntax and for flags of imprint.
func TestDocs(t *testing.T) {
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
				if b.language == "console" {
					b.run(t, dir)
				}
			}
		})
	}
}

// docsWorld makes the directory that the commands of a page run in: a synthetic store and, as the pages have them, a link to a system in it, its
// registration, and the archive of a Debian system.
func docsWorld(t *testing.T) string {
	t.Helper()
	dir := public(t)
	s, system, err := demostore.Synthetic(dir, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	target := func(name string) string {
		link, err := os.Readlink(s.Host(system.Path) + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return s.Host(link)
	}
	root := filepath.Join(dir, "rootfs")
	for name, from := range map[string]string{
		"boot/vmlinuz-6.1.0-9-amd64": target("kernel"), "boot/initrd.img-6.1.0-9-amd64": target("initrd"),
		"usr/lib/systemd/boot/efi/systemd-bootx64.efi": programOf(t, s.Host("/nix/store"), "systemd-bootx64.efi"),
	} {
		mkdir(t, filepath.Dir(filepath.Join(root, name)))
		writeFile(t, filepath.Join(root, name), string(read(t, from)))
	}
	hosttest.Run(t, "tar", "-C", root, "-cf", filepath.Join(dir, "rootfs.tar"), ".")
	mkdir(t, filepath.Join(dir, "closure-info"))
	writeFile(t, filepath.Join(dir, "closure-info/registration"), s.Registration())
	if err := os.Symlink(system.Path, filepath.Join(dir, "result")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// programOf returns the path of a boot loader's program in a store.
func programOf(t *testing.T, store, name string) string {
	t.Helper()
	paths, err := filepath.Glob(store + "/*-boot-programs/lib/systemd/boot/efi/" + name)
	if err != nil || len(paths) != 1 {
		t.Fatalf("%d programs %s: %v", len(paths), name, err)
	}
	return paths[0]
}

// inWorld is the text of a block for a file, with the store of the test in place of that of the machine.
func (b block) inWorld() string {
	switch {
	case b.language != "toml" || !strings.Contains(b.text, "[[closure]]"):
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

// checkFlags checks every call of imprint in a shell script: the command, its flags, and how many arguments it has.
func checkFlags(t *testing.T, script string) (found int) {
	t.Helper()
	for _, call := range calls.FindAllStringSubmatch(script, -1) {
		args := strings.Fields(call[1])
		r := newRoot(world{io.Discard, io.Discard, nil, os.Getenv})
		c, rest, err := r.cmd.Find(args)
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err == nil && c.Args != nil {
			err = c.Args(c, c.Flags().Args())
		}
		if err != nil {
			t.Errorf("imprint %s: %v", call[1], err)
		}
		found++
	}
	return found
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

// The templates for CI are YAML, have the parts that their services want, and their scripts are right.
func TestTemplates(t *testing.T) {
	var github struct {
		On   map[string]any
		Jobs map[string]struct {
			RunsOn string `yaml:"runs-on"`
			Needs  string
			Steps  []struct{ Uses, Run string }
		}
	}
	decodeYAML(t, "github.yml", &github)
	scripts := map[string][]string{}
	for name, job := range github.Jobs {
		if job.RunsOn == "" || len(job.Steps) == 0 {
			t.Errorf("github.yml: job %s has no runner or no steps", name)
		}
		for _, step := range job.Steps {
			if (step.Uses == "") == (step.Run == "") {
				t.Errorf("github.yml: a step of %s has not one of uses and run", name)
			}
			scripts["github.yml"] = append(scripts["github.yml"], step.Run)
		}
	}
	if len(github.On) == 0 || github.Jobs["publish"].Needs != "build" {
		t.Error("github.yml: nothing starts it, or publish does not wait for build")
	}

	type job struct {
		Stage  string
		Script []string
	}
	var gitlab struct {
		Stages                []string
		Build, Check, Publish job
		Default               struct {
			BeforeScript []string `yaml:"before_script"`
		}
	}
	decodeYAML(t, "gitlab.yml", &gitlab)
	scripts["gitlab.yml"] = gitlab.Default.BeforeScript
	for _, j := range []job{gitlab.Build, gitlab.Check, gitlab.Publish} {
		if !slices.Contains(gitlab.Stages, j.Stage) || len(j.Script) == 0 {
			t.Errorf("gitlab.yml: a job of stage %q with %d commands", j.Stage, len(j.Script))
		}
		scripts["gitlab.yml"] = append(scripts["gitlab.yml"], j.Script...)
	}
	for file, list := range scripts {
		script := strings.Join(list, "\n")
		hosttest.Run(t, "sh", "-n", "-c", script)
		if checkFlags(t, script) < 2 || !strings.Contains(script, "imprint build image.toml") || !strings.Contains(script, "cmp ") {
			t.Errorf("%s does not build and check an image:\n%s", file, script)
		}
	}
}

func decodeYAML(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(read(t, filepath.Join("../../docs/ci", name)), into); err != nil {
		t.Fatalf("%s: %v", name, err)
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

// eventKind is the schema of one kind of event, or of a problem in it.
type eventKind struct {
	Description string
	Properties  map[string]struct {
		Const       string
		Enum        []any
		Type        any
		Description string
		Items       *eventKind
	}
	Required []string
}

// eventKinds returns the kinds of events in the schema, by name.
func eventKinds(t *testing.T) map[string]eventKind {
	t.Helper()
	var schema struct{ OneOf []eventKind }
	if err := json.Unmarshal([]byte(imprint(t, "schema", "--events")), &schema); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]eventKind{}
	for _, k := range schema.OneOf {
		kinds[k.Properties["event"].Const] = k
	}
	return kinds
}

// Events are those of the schema, key by key, and the page explains all of them.
func TestEvents(t *testing.T) {
	kinds, dir, seen := eventKinds(t), t.TempDir(), map[string]bool{}
	page := string(read(t, "../../docs/events.md"))
	for name, k := range kinds {
		_, section, ok := strings.Cut(page, "\n## `"+name+"`\n")
		section, _, _ = strings.Cut(section, "\n## ")
		for key := range k.Properties {
			if !ok || key != "event" && !strings.Contains(section, "`"+key+"`") {
				t.Errorf("docs/events.md does not explain %s of %s", key, name)
			}
		}
	}
	var out strings.Builder
	description := "name = \"data\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n"
	large := "[[partition.file]]\npath = \"/large\"\nsource = \"large\"\n" // takes long enough for events of progress on most machines
	writeFile(t, filepath.Join(dir, "large"), strings.Repeat("content\n", 8<<20))
	for name, text := range map[string]string{"good": description + large, "wrong": "nmae = 1\n"} {
		file := filepath.Join(dir, name+".toml")
		writeFile(t, file, text)
		Main(t.Context(), world{&out, io.Discard, []string{"build", file, "-o", filepath.Join(dir, "out.raw"), "--json"}, func(string) string { return "" }})
	}
	newUI(&out, io.Discard, true).warn(diag.List{{Position: diag.Position{File: "data.toml", Line: 1, Col: 1}, Key: "name", Text: "is odd"}})
	for line := range strings.Lines(out.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := event["event"].(string)
		kind, ok := kinds[name]
		if !ok {
			t.Errorf("an event that the schema lacks: %s", line)
		}
		seen[name] = true
		kind.check(t, event)
	}
	for name := range kinds {
		if !seen[name] && name != "progress" {
			t.Errorf("no event %s", name)
		}
	}
}

// check compares an object with its kind: its keys, their types and words.
func (k eventKind) check(t *testing.T, object map[string]any) {
	t.Helper()
	for _, key := range k.Required {
		if _, ok := object[key]; !ok {
			t.Errorf("%v lacks %s", object, key)
		}
	}
	for key, v := range object {
		p, ok := k.Properties[key]
		switch {
		case !ok:
			t.Errorf("%v: the schema lacks %s", object, key)
		case p.Const != "" && v != p.Const, p.Enum != nil && !slices.Contains(p.Enum, v), p.Type != nil && !isOfType(v, p.Type):
			t.Errorf("%v: %s is %v", object, key, v)
		}
		if list, ok := v.([]any); ok && p.Items != nil {
			for _, element := range list {
				p.Items.check(t, element.(map[string]any))
			}
		}
	}
}

// isOfType reports whether a value has a type of JSON Schema, or one of several.
func isOfType(v, want any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return isOfType(v, one) })
	}
	switch v := v.(type) {
	case nil:
		return want == "null"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == float64(int64(v))
	case []any:
		return want == "array"
	}
	return want == "object"
}
