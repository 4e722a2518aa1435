package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/hosttest"

	"github.com/rogpeppe/go-internal/diff"
)

// A golden is what testdata/golden records of a description.
type golden struct {
	Plan  json.RawMessage `json:"plan"`            // of imprint plan --json
	Boot  json.RawMessage `json:"boot,omitempty"`  // boot.json of imprint build --export-boot
	Image *goldenImage    `json:"image,omitempty"` // nil if a host tool makes the image
}

// A setting is how and where imprint runs.
type setting struct {
	dir   string   // the directory with configs and build
	cwd   string   // "" for dir
	umask string   // octal
	env   []string // in addition to PATH
}

// Every description makes the recorded plan and the recorded bytes. The store and the other inputs are the same on every machine.
// UPDATE_GOLDEN=1 records them again.
func TestGolden(t *testing.T) {
	t.Parallel()
	s := setting{dir: syntheticConfigs(t), umask: "022"}
	for _, file := range descriptions(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.golden(t, name).compare(t, filepath.Join("testdata/golden", name+".json"))
		})
	}
}

// No description in configs has anything in it that is worth a warning.
func TestExamplesWithoutWarnings(t *testing.T) {
	t.Parallel()
	s := setting{dir: syntheticConfigs(t), umask: "022"}
	files, _ := filepath.Glob("../../configs/*.toml")
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, said := s.both(t, "plan", filepath.Join(s.dir, "configs", name)); strings.Contains(said, "warning") {
				t.Errorf("warnings:\n%s", said)
			}
		})
	}
}

// Working directory, umask and environment make no difference.
func TestGoldenElsewhere(t *testing.T) {
	t.Parallel()
	s := setting{
		dir: syntheticConfigs(t), cwd: "/", umask: "077",
		env: []string{"TZ=Pacific/Kiritimati", "LC_ALL=tr_TR.UTF-8", "LANG=ja_JP", "GOMAXPROCS=1", "HOME=/nowhere"},
	}
	for _, name := range []string{"board", "every-key", "iso-squashfs", "syslinux", "trees", "uki-signed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := read(t, filepath.Join("testdata/golden", name+".json"))
			if d := diff.Diff("recorded", want, "elsewhere", []byte(s.golden(t, name).text(t))); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

// descriptions returns those in configs, and those in testdata/golden, which use what no other does.
func descriptions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../configs/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no descriptions: ", err)
	}
	more, err := filepath.Glob("testdata/golden/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, more...)
}

// syntheticConfigs makes a directory with the descriptions in configs, and in build synthetic stores and all other inputs that they name.
func syntheticConfigs(t *testing.T) string {
	t.Helper()
	root := public(t)
	for name, arch := range map[string]string{"demo": "x86_64", "demo-arm64": "aarch64"} {
		dir := filepath.Join(root, "build", name)
		mkdir(t, dir)
		if _, _, err := demostore.Synthetic(dir, arch); err != nil {
			t.Fatal(err)
		}
	}
	mkdir(t, filepath.Join(root, "build/demo-guix"))
	if _, _, err := demostore.GuixSynthetic(filepath.Join(root, "build/demo-guix"), "x86_64"); err != nil {
		t.Fatal(err)
	}
	if err := demostore.SyntheticHost(filepath.Join(root, "build/host")); err != nil {
		t.Fatal(err)
	}
	if err := demostore.SyntheticArchive(filepath.Join(root, "build/debian/rootfs.tar.zst")); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(root, "build/layer/etc"))
	mkdir(t, filepath.Join(root, "build/layer/var"))
	for _, name := range []string{"etc/.wh.passwd", "etc/added", "var/.wh..wh..opq", "var/only"} {
		writeFile(t, filepath.Join(root, "build/layer", name), name)
	}
	mkdir(t, filepath.Join(root, "configs"))
	for from, to := range map[string]string{"../../LICENSE": "LICENSE", "../../configs/greeting": "configs/greeting"} {
		hosttest.Run(t, "cp", "-r", from, filepath.Join(root, to))
	}
	if err := os.CopyFS(filepath.Join(root, "build/keys"), os.DirFS("testdata/keys")); err != nil {
		t.Fatal(err)
	}
	for _, file := range descriptions(t) {
		onHost := strings.NewReplacer(`"/usr/`, `"../build/host/usr/`, `"/boot/memtest`, `"../build/host/boot/memtest`).Replace(string(read(t, file)))
		writeFile(t, filepath.Join(root, "configs", filepath.Base(file)), onHost)
	}
	return root
}

// needsOf skips the test of a description that has steps where none can run.
func needsOf(t *testing.T, file string) {
	t.Helper()
	if !regexp.MustCompile(`(?m)^\[\[step\]\]`).Match(read(t, file)) {
		return
	}
	needSandbox(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the program in the stand-in for its base is for x86_64")
	}
}

// golden plans and builds a description. It does not build a squashfs, whose bytes depend on the version of a host tool.
func (s setting) golden(t *testing.T, name string) golden {
	t.Helper()
	file, out := filepath.Join(s.dir, "configs", name+".toml"), t.TempDir()
	needsOf(t, file)
	g := golden{Plan: s.run(t, "plan", "--json", "--run-steps", file)}
	if strings.Contains(string(g.Plan), s.dir) {
		t.Errorf("the plan contains a path of this machine:\n%s", g.Plan)
	}
	if regexp.MustCompile(`(?m)^filesystem += "squashfs"`).Match(read(t, file)) {
		return g
	}
	image, export := filepath.Join(out, "image.raw"), filepath.Join(out, "boot")
	s.run(t, "build", file, "-o", image, "--sha256", "--export-boot", export)
	g.Boot = read(t, filepath.Join(export, "boot.json"))
	g.Image = readImage(t, image, g.Plan)
	return g
}

// run runs imprint with stand-ins for host tools first in PATH, and returns its standard output.
func (s setting) run(t *testing.T, args ...string) []byte {
	t.Helper()
	stdout, _ := s.both(t, args...)
	return stdout
}

// both is run, and returns what imprint writes to standard error as well.
func (s setting) both(t *testing.T, args ...string) (stdout []byte, stderr string) {
	t.Helper()
	tools, err := filepath.Abs("testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + tools + ":" + os.Getenv("PATH")
	cmd := exec.Command("sh", append([]string{"-c", "umask " + s.umask + ` && exec imprint "$@"`, "sh"}, args...)...)
	cmd.Dir, cmd.Env = s.cwd, append([]string{path, "XDG_CACHE_HOME=" + filepath.Join(s.dir, "cache")}, s.env...)
	if cmd.Dir == "" {
		cmd.Dir = s.dir
	}
	var failure strings.Builder
	cmd.Stderr = &failure
	stdout, err = cmd.Output()
	if err != nil {
		t.Fatalf("imprint %q: %v\n%s", args, err, failure.String())
	}
	return stdout, failure.String()
}

// sameFiles compares two files a piece at a time: images may be larger than memory.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	if out, err := exec.Command("cmp", a, b).CombinedOutput(); err != nil {
		t.Errorf("the files differ: %s", out)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// text returns the golden in the form that is recorded.
func (g golden) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(g); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// compare compares the golden with the recorded one, or records it.
func (g golden) compare(t *testing.T, file string) {
	t.Helper()
	got := g.text(t)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		writeFile(t, file, got)
		return
	}
	recorded, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if d := diff.Diff(file, recorded, "now", []byte(got)); d != nil {
		t.Errorf("to record this, run make golden:\n%s", d)
	}
}

// Every recorded golden has a description.
func TestGoldenIsWhole(t *testing.T) {
	recorded, err := filepath.Glob("testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	base := func(file string) string { return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) }
	for _, name := range recorded {
		if !slices.ContainsFunc(descriptions(t), func(f string) bool { return base(f) == base(name) }) {
			t.Errorf("%s: there is no such description", name)
		}
	}
}
