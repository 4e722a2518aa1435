package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/plan"
	"imprint/internal/demostore"
	"imprint/internal/hosttest"
)

// A stableItem is an item of files whose sizes follow from a seed.
type stableItem struct {
	name string
	seed uint64
	more int // bytes that its first file has besides
}

const stableFiles = 12

// write writes the files of the item, and returns how many bytes they have.
func (i stableItem) write(path string) error {
	noise := rand.NewChaCha8([32]byte{byte(i.seed), byte(i.seed >> 8)})
	sizes := rand.New(rand.NewPCG(i.seed, 1))
	for k := range stableFiles {
		size := sizes.IntN(60_000)
		if k == 0 {
			size += i.more
		}
		content := make([]byte, size)
		_, _ = noise.Read(content) // it never fails
		dir := filepath.Join(path, fmt.Sprint("share/", k%3))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(k)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// stableImage makes a store of items and a description NAME.toml of an image with them and a file in an EFI system partition.
func (b seriesBox) stableImage(name string, items []stableItem, kernel int) {
	b.t.Helper()
	s, err := demostore.Create(b.path(name), demostore.Nix)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { hosttest.Run(b.t, "chmod", "-R", "u+w", b.path(name)) })
	var roots []string
	for _, i := range items {
		added, err := s.Add(i.name, nil, i.write)
		if err != nil {
			b.t.Fatal(err)
		}
		roots = append(roots, fmt.Sprintf("%q", added.Path))
	}
	writeFile(b.t, b.path(name+"/registration"), s.Registration())
	writeFile(b.t, b.path(name+"/kernel"), strings.Repeat("kernel\n", kernel/7))
	writeFile(b.t, b.path(name+".toml"), fmt.Sprintf(`name = "stable"
arch = "x86_64"
[[source]]
path = %q
registration = "%s/registration"
[[closure]]
name = "all"
roots = [%s]
[boot]
loader = "none"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition.file]]
path = "/kernel"
source = "%s/kernel"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["all"]
`, name, name, strings.Join(roots, ", "), name))
}

// differingBlocks counts the blocks of 4 KiB in which two images differ.
func differingBlocks(t *testing.T, a, b string) (n, all int) {
	t.Helper()
	x, y := read(t, a), read(t, b)
	if len(x) != len(y) {
		return max(len(x), len(y)) / 4096, len(x) / 4096
	}
	for at := 0; at < len(x); at += 4096 {
		if !bytes.Equal(x[at:at+4096], y[at:at+4096]) {
			n++
		}
	}
	return n, len(x) / 4096
}

// built returns the manifest beside an image.
func (b seriesBox) built(image string) (m plan.Manifest) {
	b.t.Helper()
	if err := json.Unmarshal(read(b.t, b.path(image+".json")), &m); err != nil {
		b.t.Fatal(err)
	}
	return m
}

// chunks returns how many chunks a store of casync has after an image was added.
func (b seriesBox) chunks(image string) (n int) {
	b.t.Helper()
	hosttest.Run(b.t, "casync", "make", "--store="+b.path("chunks.castr"), b.path("index.caibx"), b.path(image))
	list, err := filepath.Glob(b.path("chunks.castr/*/*.cacnk"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list)
}

// With --stable-layout an image of which one item has changed differs from the generation before in the blocks of that item and at most 2 % of
// all others; it is a sound image, and the same every time.
func TestStableLayout(t *testing.T) {
	hosttest.Need(t, "casync", "e2fsck")
	b := seriesBox{layerBox{t, t.TempDir()}}
	var items []stableItem
	for i := range 70 {
		items = append(items, stableItem{fmt.Sprint("item-", i), uint64(i), 0})
	}
	change := func(edit func(list []stableItem) []stableItem) []stableItem {
		return edit(append([]stableItem(nil), items...))
	}
	flags := func(name string) []string {
		return []string{"build", name + ".toml", "--series", "s", "--stable-layout", "-o", name + ".raw", "--no-sync"}
	}
	b.stableImage("first", items, 300_000)
	if out := b.must(flags("first")...); strings.Contains(out, "layout ") {
		t.Errorf("the first image keeps to a layout: %s", out)
	}
	before := b.chunks("first.raw")
	for _, c := range []struct {
		name   string
		items  []stableItem
		kernel int
	}{
		{"grown", change(func(l []stableItem) []stableItem { l[30].more = 20_000; return l }), 300_000},
		{"other", change(func(l []stableItem) []stableItem { l[30] = stableItem{"other-30", 1030, 0}; return l }), 300_000},
		{"more", change(func(l []stableItem) []stableItem { return append(l, stableItem{"item-71", 71, 0}) }), 300_000},
		{"less", change(func(l []stableItem) []stableItem { return append(l[:20], l[21:]...) }), 300_000},
		{"kernel", items, 310_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := seriesBox{layerBox{t, b.dir}}
			b.stableImage(c.name, c.items, c.kernel)
			b.must("series", "tag", "s", "current", "1")
			out := b.must(append(flags(c.name), "--check")...)
			if !strings.Contains(out, "  layout    root: ") || !strings.Contains(out, "and equal") {
				t.Errorf("it says\n%s", out)
			}
			n, all := differingBlocks(t, b.path("first.raw"), b.path(c.name+".raw"))
			if most := stableFiles*60_000/4096 + all/50; n > most {
				t.Errorf("%d of %d blocks differ, %d at most should", n, all, most)
			}
			after := b.chunks(c.name + ".raw")
			t.Logf("%d of %d blocks differ; of %d chunks of casync, %d are new", n, all, before, after-before)
			before = after
			b.must("verify", c.name+".raw")
			is, was := b.built(c.name+".raw"), b.built("first.raw")
			if is.Seed != was.Seed || is.After != was.Digest || was.After != "" {
				t.Errorf("seed %s after %q; the first one has %s, %s", is.Seed, is.After, was.Seed, was.Digest)
			}
			hosttest.Run(t, "e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", b.path(c.name+".raw"), *is.Partitions[1].Offset))
			if out := b.must(flags(c.name)...); !strings.Contains(out, "as before") || !strings.Contains(out, "the image is as it was") {
				t.Errorf("the same again: %s", out)
			}
		})
	}
	b.must("series", "verify")
}

// Whatever is damaged or gone of the generation before, an image that keeps to its layout is sound, or the build fails and says why.
func TestStableDamaged(t *testing.T) {
	b := newSeriesBox(t)
	args := func(n int) []string {
		return []string{"build", fmt.Sprint(n, ".toml"), "--series", "box", "--stable-layout", "-o", "new.raw", "--no-sync"}
	}
	b.must(args(1)...)
	warned := 0
	for i, object := range b.stored("imprint/layers/objects") {
		whole := read(t, object)
		os.Chmod(object, 0o600)
		if os.Remove(object); i%2 == 0 {
			bad := bytes.Clone(whole)
			bad[len(bad)/2] ^= 1
			writeFile(t, object, string(bad))
		}
		out, err := b.imprint(args(2)...).CombinedOutput()
		switch {
		case err == nil:
			b.must("verify", "new.raw")
			if strings.Contains(string(out), "is not used for the layout") {
				warned++
			}
		case !strings.Contains(string(out), "damaged") && !strings.Contains(string(out), "not in the build store"):
			t.Errorf("without %s: %s", object, out)
		}
		os.Remove(object)
		writeFile(t, object, string(whole))
		b.must("series", "tag", "box", "current", "1")
	}
	if warned == 0 {
		t.Error("no damage was noticed while the layout was read")
	}
}
