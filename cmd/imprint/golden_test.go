package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"imprint/internal/demostore"

	disk "github.com/diskfs/go-diskfs/backend/file"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/diff"
)

// A golden is what testdata/golden records of a description.
type golden struct {
	Plan  json.RawMessage `json:"plan"`            // of imprint plan --json
	Boot  json.RawMessage `json:"boot,omitempty"`  // boot.json of imprint build --export-boot
	Image *goldenImage    `json:"image,omitempty"` // nil if a host tool makes the image
}

// A goldenImage is the digests that imprint reports, and the regions of the image file.
type goldenImage struct {
	Digest  string         `json:"digest"`
	SHA256  string         `json:"sha256"`
	Regions []goldenRegion `json:"regions"`
}

// A goldenRegion is a partition, or a range of the disk outside of all partitions.
type goldenRegion struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`           // bytes
	Size   int64  `json:"size"`             // bytes
	Digest string `json:"digest,omitempty"` // of a partition, from the manifest
	SHA256 string `json:"sha256"`           // of the bytes in the file

	Tree *goldenTree `json:"tree,omitempty"`
}

// A setting is how and where imprint runs.
type setting struct {
	dir   string   // the directory with configs and build
	cwd   string   // "" for dir
	umask string   // octal
	env   []string // in addition to PATH
}

// Every description gives the recorded plan and the recorded bytes. The store and the other inputs are the same on every machine.
// UPDATE_GOLDEN=1 records them again.
func TestGolden(t *testing.T) {
	s := setting{dir: syntheticConfigs(t), umask: "022"}
	for _, file := range descriptions(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.golden(t, name).compare(t, filepath.Join("testdata/golden", name+".json"))
		})
	}
}

// Working directory, umask and environment make no difference.
func TestGoldenElsewhere(t *testing.T) {
	s := setting{
		dir: syntheticConfigs(t), cwd: "/", umask: "077",
		env: []string{"TZ=Pacific/Kiritimati", "LC_ALL=tr_TR.UTF-8", "LANG=ja_JP", "GOMAXPROCS=1", "HOME=/nowhere"},
	}
	for _, name := range []string{"board", "every-key", "iso-squashfs", "syslinux", "uki-signed"} {
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
	if err := demostore.SyntheticHost(filepath.Join(root, "build/host")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(root, "build/keys"), os.DirFS("testdata/keys")); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(root, "configs"))
	for _, file := range descriptions(t) {
		onHost := strings.ReplaceAll(string(read(t, file)), `"/usr/`, `"../build/host/usr/`)
		writeFile(t, filepath.Join(root, "configs", filepath.Base(file)), onHost)
	}
	return root
}

// golden plans and builds a description. It does not build an ISO image, which a host tool makes.
func (s setting) golden(t *testing.T, name string) golden {
	t.Helper()
	file, out := filepath.Join(s.dir, "configs", name+".toml"), t.TempDir()
	g := golden{Plan: s.run(t, "plan", "--json", file)}
	if regexp.MustCompile(`(?m)^format += "iso"`).Match(read(t, file)) {
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
	tools, err := filepath.Abs("testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + tools + ":" + os.Getenv("PATH")
	cmd := exec.Command("sh", append([]string{"-c", "umask " + s.umask + ` && exec imprint "$@"`, "sh"}, args...)...)
	cmd.Dir, cmd.Env = s.cwd, append([]string{path}, s.env...)
	if cmd.Dir == "" {
		cmd.Dir = s.dir
	}
	var failure strings.Builder
	cmd.Stderr = &failure
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("imprint %q: %v\n%s", args, err, failure.String())
	}
	return stdout
}

// A builtManifest is what OUT.json adds to the plan, and its partitions.
type builtManifest struct {
	Digest     string
	SHA256     string
	Size       int64
	Partitions []struct {
		Name         string
		Offset, Size int64
		Filesystem   string
		Digest       string
	}
}

// readImage checks that the manifest of an image agrees with the plan, and returns the digests of the manifest and of the file.
func readImage(t *testing.T, image string, plan []byte) *goldenImage {
	t.Helper()
	text := read(t, image+".json")
	var m builtManifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inPlan(t, plan), inPlan(t, text)); diff != "" {
		t.Errorf("the manifest differs from the plan:\n%s", diff)
	}
	g := &goldenImage{Digest: m.Digest, SHA256: m.SHA256}
	f, err := disk.OpenFromPath(image, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hashed := func(offset, size int64) string { return sha256Of(t, io.NewSectionReader(f, offset, size)) }
	end := int64(0)
	unused := func(name string, next int64) {
		if end < next {
			g.Regions = append(g.Regions, goldenRegion{Name: name, Offset: end, Size: next - end, SHA256: hashed(end, next-end)})
		}
	}
	for _, p := range m.Partitions {
		unused("before "+p.Name, p.Offset)
		end = p.Offset + p.Size
		r := goldenRegion{p.Name, p.Offset, p.Size, p.Digest, hashed(p.Offset, p.Size), nil}
		if fsys := openFilesystem(f, p.Filesystem, p.Offset, p.Size); fsys != nil {
			r.Tree = newGoldenTree(t, fsys)
		}
		g.Regions = append(g.Regions, r)
	}
	unused("the end", m.Size)
	if whole := hashed(0, m.Size); whole != m.SHA256 {
		t.Errorf("the image's SHA-256 is %s, the manifest has %s", whole, m.SHA256)
	}
	return g
}

// inPlan returns what a manifest and a plan have in common.
func inPlan(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"digest", "sha256", "verified"} {
		delete(m, key)
	}
	for _, p := range m["partitions"].([]any) {
		delete(p.(map[string]any), "digest")
		delete(p.(map[string]any), "largest")
	}
	return m
}

func sha256Of(t *testing.T, r io.Reader) string {
	t.Helper()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
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
	if strings.Contains(got, os.TempDir()) {
		t.Errorf("contains a path of this machine:\n%s", got)
	}
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
