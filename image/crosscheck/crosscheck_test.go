package crosscheck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"imprint/image/crosscheck/opinion"
	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/write"

	"golang.org/x/sys/unix"
)

// TestMain is the process that answers, and ones that do not.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "reader" {
		switch os.Args[2] {
		case "panic":
			panic("index out of\nrange")
		case "memory":
			limit := unix.Rlimit{Cur: 2 << 30, Max: 2 << 30}
			if err := unix.Setrlimit(unix.RLIMIT_AS, &limit); err != nil {
				panic(err)
			}
			for all := [][]byte{}; ; all = append(all, bytes.Repeat([]byte{1}, 64<<20)) {
			}
		case "nonsense":
			fmt.Println("{")
			os.Exit(0)
		case "silence":
			time.Sleep(time.Hour)
		}
		if err := Serve(os.Stdin, os.Stdout, os.Stderr); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func process(how string) Asker { return Process("/proc/self/exe", "", "reader", how) }

// images are descriptions of disks, by name, that other libraries read.
var images = map[string]string{
	"gpt": `[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "64MiB"
[[partition.file]]
path = "/EFI/A long Name.txt"
text = "hello"
[[partition]]
name = "small"
type = "linux-generic"
filesystem = "fat"
size = "1MiB"
[[partition.file]]
path = "/x"
text = "y"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
[[partition.link]]
path = "/a/link"
target = "../file"
[[partition.file]]
path = "/file"
text = "text"
`,
	"mbr": `table = "mbr"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
`,
	"iso": `format = "iso"
[[partition]]
name = "tree"
filesystem = "iso9660"
closures = ["system"]
[[partition.file]]
path = "/A file.text"
text = "text"
[[partition.file]]
path = "/other"
text = "other"
[[partition.link]]
path = "/link"
target = "file"
`,
}

// build builds an image with a store and returns it, opened.
func build(t *testing.T, name string) (*disk.Disk, *os.File) {
	t.Helper()
	w := imagetest.New(t)
	lib := w.Item("lib", nil, map[string]string{"lib.so": strings.Repeat("lib", 3000), "empty": "", "doc/b": "b"})
	root := w.Item("system", []string{lib}, map[string]string{"init": "-> " + lib + "/lib.so", "etc/" + strings.Repeat("n", 240): "a long name"})
	if name == "iso" { // whose reader knows no continuation areas, where such a name is
		root = w.Item("small", []string{lib}, map[string]string{"init": "-> " + lib + "/lib.so", "etc/x": "x"})
	}
	top, rest, _ := strings.Cut(images[name], "[[partition]]")
	p, err := w.Plan(fmt.Sprintf("%s[[closure]]\nname = \"system\"\nroots = [%q]\n[[partition]]%s", top, root, rest))
	if err != nil {
		t.Fatal(err)
	}
	image, _, _ := imagetest.Build(t, p, write.Options{})
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, image, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := disk.Open(f, int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return d, f
}

// check returns the faults and warnings about an image.
func check(t *testing.T, d *disk.Disk, f *os.File, ask Asker) (faults, warnings []string, seen int) {
	t.Helper()
	c := Checker{
		Ask: ask, Warn: func(text string) { warnings = append(warnings, text) },
		Report: func(f disk.Fault) { faults = append(faults, f.String()) },
	}
	if err := c.Disk(t.Context(), d, f); err != nil {
		t.Fatal(err)
	}
	return faults, warnings, c.Seen
}

// Libraries see in our images what we do.
func TestAgree(t *testing.T) {
	for name, least := range map[string]int{"gpt": 24, "mbr": 12, "iso": 15} {
		t.Run(name, func(t *testing.T) {
			d, f := build(t, name)
			faults, warnings, seen := check(t, d, f, process("properly"))
			if faults != nil || warnings != nil || seen < least {
				t.Errorf("%d seen, faults %q, warnings %q", seen, faults, warnings)
			}
		})
	}
}

// find finds a node of a view by its name.
func find(n *opinion.Node, name string) *opinion.Node {
	for _, k := range n.Kids {
		if string(k.Name) == name {
			return k
		}
		if found := find(k, name); found != nil {
			return found
		}
	}
	return nil
}

// Each disagreement is a fault that says who saw what.
func TestDisagree(t *testing.T) {
	drop := func(n *opinion.Node, name string) {
		n.Kids = slices.DeleteFunc(n.Kids, func(k *opinion.Node) bool { return string(k.Name) == name })
	}
	built, files := map[string]*disk.Disk{}, map[string]*os.File{}
	for _, c := range []struct {
		image, kind string
		change      func(*opinion.View)
		want        string
	}{
		{"gpt", "gpt", func(v *opinion.View) { v.Disk = "x" }, `cross-check: disk GUID: imprint reads [0-9a-f-]+, go-diskfs reads x$`},
		{"gpt", "gpt", func(v *opinion.View) { v.Partitions[1].Size++ }, `partition 2: imprint reads "small", .* 1048576 bytes at .*, go-diskfs reads "small", .* 1048577 bytes`},
		{"gpt", "gpt", func(v *opinion.View) { v.Partitions = v.Partitions[1:] }, `partition 1: imprint reads "esp", .*, go-diskfs reads none$`},
		{"gpt", "fat", func(v *opinion.View) { drop(v.Root, "EFI") }, `"/EFI": cross-check: imprint sees a directory, go-diskfs nothing$`},
		{"gpt", "ext4", func(v *opinion.View) {
			v.Root.Kids = append(v.Root.Kids, &opinion.Node{Name: []byte("a\n"), Kind: opinion.Link})
		},
			`"/a\\n": cross-check: go-diskfs sees a symlink, imprint nothing$`},
		{"gpt", "ext4", func(v *opinion.View) { find(v.Root, "file").Kind = opinion.Dir },
			`"/file": cross-check: imprint sees a file of 4 bytes, go-diskfs a directory$`},
		{"gpt", "ext4", func(v *opinion.View) { find(v.Root, "file").Size++ }, `imprint sees a file of 4 bytes, go-diskfs a file of 5 bytes$`},
		{"gpt", "ext4", func(v *opinion.View) { find(v.Root, "link").Digest[0] ^= 1 }, `"/a/link": cross-check: imprint reads content with the SHA-256`},
		{"gpt", "ext4", func(v *opinion.View) { find(v.Root, "file").Err = "no\nway" }, `imprint reads its content, go-diskfs does not: "no\\nway"$`},
		{"gpt", "ext4", func(v *opinion.View) { n := find(v.Root, "a"); n.Kids, n.Err = nil, "broken" },
			`"/a": cross-check: go-diskfs cannot read the directory, in which imprint sees 1 names: "broken"$`},
		{"gpt", "database", func(v *opinion.View) { v.Items[0].Size++ }, `-lib": cross-check: registration: imprint reads sha256:.*, SQLite reads sha256:`},
		{"gpt", "database", func(v *opinion.View) { v.Items = v.Items[1:] }, `-lib": cross-check: registration: imprint reads .*, SQLite reads none$`},
		{"iso", "iso9660", func(v *opinion.View) { find(v.Root, "other").Digest[0] ^= 1 }, `"/other": cross-check: imprint reads content with the SHA-256`},
		{"iso", "iso9660", func(v *opinion.View) { n := find(v.Root, "other"); n.Name, n.Size = []byte("o"), 1 }, `imprint sees a file of 5 bytes, kdomanski/iso9660 nothing$`},
	} {
		if built[c.image] == nil {
			built[c.image], files[c.image] = build(t, c.image)
		}
		d, f := built[c.image], files[c.image]
		ask := func(_ context.Context, f *os.File, r opinion.Request) (*opinion.View, error) {
			v, err := opinion.Answer(f, r)
			if err == nil && r.Kind == c.kind {
				c.change(v)
			}
			return v, err
		}
		faults, _, _ := check(t, d, f, ask)
		if len(faults) == 0 || !matches(faults, c.want) {
			t.Errorf("%s: %q, want %s", c.kind, faults, c.want)
		}
	}
}

// A name that the reader of ISOs does not understand is not a disagreement if the content is the same.
func TestLooseNames(t *testing.T) {
	d, f := build(t, "iso")
	faults, _, _ := check(t, d, f, func(_ context.Context, f *os.File, r opinion.Request) (*opinion.View, error) {
		v, err := opinion.Answer(f, r)
		if r.Kind == "iso9660" {
			find(v.Root, "nix").Name = []byte("NIX")
			find(v.Root, "other").Name = []byte("OTHER")
			empty := sha256.Sum256(nil)
			l := find(v.Root, "link")
			l.Name, l.Kind, l.Digest = []byte("LINK"), opinion.File, empty[:]
		}
		return v, err
	})
	if faults != nil {
		t.Errorf("%q", faults)
	}
}

// A library that fails, in whatever way, has no opinion, and that is said in one line.
func TestNoOpinion(t *testing.T) {
	d, f := build(t, "mbr")
	for how, want := range map[string]string{
		"panic":    `partition 1: no second opinion: panic: index out of$`,
		"memory":   `no second opinion: (fatal error: runtime: (cannot allocate memory|out of memory)|fatal error: runtime: out of memory|the process ended)`,
		"nonsense": `no second opinion: unreadable answer: unexpected end of JSON input$`,
	} {
		faults, warnings, _ := check(t, d, f, process(how))
		if faults != nil || len(warnings) == 0 || !matches(warnings, want) {
			t.Errorf("%s: faults %q, warnings %q, want %s", how, faults, warnings, want)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := process("silence")(ctx, f, opinion.Request{}); err == nil || ctx.Err() == nil {
		t.Errorf("a process that says nothing: %v", err)
	}
	if _, err := process("properly")(t.Context(), f, opinion.Request{Kind: "ext4", Size: 4096, Sector: 512}); err == nil {
		t.Error("an ext4 of 4096 bytes was read")
	} else if strings.Contains(err.Error(), "\n") {
		t.Errorf("an error of several lines: %v", err)
	}
}

func matches(lines []string, pattern string) bool {
	re := regexp.MustCompile(pattern)
	return slices.ContainsFunc(lines, re.MatchString)
}
