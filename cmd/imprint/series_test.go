package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/hosttest"
	"imprint/internal/qemutest"

	"golang.org/x/sys/unix"
)

// Descriptions in configs give the same images as generations of series, and these are made again from the build store alone.
func TestSeriesGolden(t *testing.T) {
	t.Parallel()
	s := setting{dir: syntheticConfigs(t), umask: "022"}
	store := filepath.Join(t.TempDir(), "store")
	t.Run("each", func(t *testing.T) {
		for _, file := range descriptions(t) {
			name := strings.TrimSuffix(filepath.Base(file), ".toml")
			if regexp.MustCompile(`(?m)^filesystem += "squashfs"`).Match(read(t, file)) {
				continue // made by a host tool of some version
			}
			if os.Getenv("IMPRINT_SLOW") != "1" && !slices.Contains(someConfigs, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				needsOf(t, file)
				description, dir := filepath.Join(s.dir, "configs", name+".toml"), t.TempDir()
				first, again := filepath.Join(dir, "first.raw"), filepath.Join(dir, "again.raw")
				s.run(t, "build", description, "-o", first, "--series", name, "--build-store", store, "--no-sync")
				want := struct{ Image struct{ Digest string } }{}
				if err := json.Unmarshal(read(t, filepath.Join("testdata/golden", name+".json")), &want); err != nil {
					t.Fatal(err)
				}
				if got := digestIn(t, first); got != want.Image.Digest {
					t.Errorf("the image is %s, without a series %s", got, want.Image.Digest)
				}
				s.run(t, "series", "build", name, "-o", again, "--build-store", store, "--no-sync")
				sameFiles(t, first, again)
				sameFiles(t, first+".json", again+".json")
			})
		}
	})
	s.run(t, "series", "verify", "--build-store", store)
	if out := string(s.run(t, "series", "gc", "--build-store", store)); out != "removed 0 objects, 0 B\n" {
		t.Errorf("gc says %q", out)
	}
}

// someConfigs are descriptions with every file system, boot loader and table.
var someConfigs = []string{"appliance", "board-gpt", "every-key", "grub-bios", "guix-iso", "iso-erofs", "layers", "syslinux", "trees", "uki-signed", "verity"}

func digestIn(t *testing.T, image string) string {
	t.Helper()
	var m builtManifest
	if err := json.Unmarshal(read(t, image+".json"), &m); err != nil {
		t.Fatal(err)
	}
	return m.Digest
}

// A seriesBox is a directory with a build store and descriptions of two images, 1.toml and 2.toml, built without a series as 1.raw and 2.raw.
type seriesBox struct{ layerBox }

func newSeriesBox(t *testing.T) seriesBox { return newSeriesBoxIn(t, t.TempDir()) }

func newSeriesBoxIn(t *testing.T, dir string) seriesBox {
	b := seriesBox{layerBox{t, dir}}
	for i, name := range []string{"1", "2"} {
		b.files("both", 60)
		b.files("only"+name, 100+i*20)
		writeFile(t, filepath.Join(b.dir, name+".toml"), fmt.Sprintf(`name = "box"
seed = "box"
size = "64MiB"
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "ext4"
[[partition.tree]]
source = "both"
target = "/both"
[[partition.tree]]
source = "only%s"
target = "/only"
`, name))
		b.must("build", name+".toml", "-o", name+".raw", "--no-sync")
	}
	return b
}

func (b seriesBox) imprint(args ...string) *exec.Cmd {
	c := b.command()
	c.Args = append([]string{"imprint"}, args...)
	return c
}

func (b seriesBox) must(args ...string) string {
	b.t.Helper()
	out, err := b.imprint(args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("imprint %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b seriesBox) path(name string) string { return filepath.Join(b.dir, name) }

// is reports which of the two images a file is; "" if it is neither.
func (b seriesBox) is(name string) string {
	for _, image := range []string{"1", "2"} {
		if exec.Command("cmp", "-s", b.path(name), b.path(image+".raw")).Run() == nil {
			return image
		}
	}
	return ""
}

// Builds of a series are killed at random moments. An image that is replaced is then one of the two; one that is changed in place is completed by
// the next build. The build store is sound, and gc leaves nothing behind.
func TestSeriesKilled(t *testing.T) {
	b := newSeriesBox(t)
	b.must("build", "1.toml", "--series", "box", "-o", "out.raw")
	b.must("series", "tag", "box", "first")
	start := time.Now()
	b.must("build", "2.toml", "--series", "box", "-o", "out.raw")
	whole := time.Since(start)
	rounds := 20
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 200
	}
	random, killed, torn := rand.New(rand.NewPCG(3, 4)), 0, 0
	for round := range rounds {
		image := []string{"1", "2"}[random.IntN(2)]
		if random.IntN(4) == 0 { // so that there is much to add
			b.must("series", "tag", "box", "current", "first")
			b.must("series", "gc", "--keep", "1")
		}
		args := []string{"build", image + ".toml", "--series", "box", "-o", "out.raw"}
		if round%2 == 0 {
			args = append(args, "--in-place")
		}
		before := b.is("out.raw")
		c := b.imprint(args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(whole))))
		c.Process.Kill()
		if c.Wait() != nil {
			killed++
		}
		b.must("series", "verify")
		b.must("series", "show", "box")
		if is := b.is("out.raw"); is == "" {
			torn++
			if round%2 != 0 && before != "" {
				t.Fatalf("after %v out.raw is neither image", args)
			}
			if _, err := os.Stat(b.path("out.raw.json")); err == nil {
				t.Errorf("after %v out.raw is neither image, and has a manifest", args)
			}
		}
		if round%4 < 2 { // completed by one build or the other, in place or not
			b.must("build", "2.toml", "--series", "box", "-o", "out.raw", "--in-place")
			if is := b.is("out.raw"); is != "2" {
				t.Fatalf("after %v and a build of 2 out.raw is %q", args, is)
			}
		}
	}
	if killed == 0 {
		t.Error("no build was killed")
	}
	t.Logf("%d of %d were killed, and %d times a file was not complete", killed, rounds, torn)
	b.must("series", "remove", "box")
	b.must("series", "gc")
	if left := b.stored("imprint/layers/objects"); len(left) != 0 {
		t.Errorf("gc leaves %v", left)
	}
}

// An update in place that was interrupted between two writes is completed, by whatever image comes next.
func TestSeriesTorn(t *testing.T) {
	for _, next := range []string{"1", "2"} {
		b := newSeriesBox(t)
		b.must("build", "1.toml", "--series", "box", "-o", "out.raw")
		b.must("build", "2.toml", "--series", "box", "-o", "other.raw")
		info, err := os.Stat(b.path("out.raw"))
		if err != nil {
			t.Fatal(err)
		}
		file := b.path("cache/imprint/layers/series/box")
		text := regexp.MustCompile(`(?m)^file 1 .*\n`).ReplaceAllString(string(read(t, file)), "")
		writeFile(t, file, text+fmt.Sprintf("pending 1 2 %d %d %d\n", device(info), inode(info), born(t, b.path("out.raw"))))
		mix, second := read(t, b.path("out.raw")), read(t, b.path("2.raw"))
		for at := range mix {
			if at/4096%3 == 0 && at < len(second) {
				mix[at] = second[at]
			}
		}
		f, err := os.OpenFile(b.path("out.raw"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(mix)
		f.Close()
		if is := b.is("out.raw"); is != "" {
			t.Fatalf("the mix is image %s", is)
		}
		out := b.must("build", next+".toml", "--series", "box", "-o", "out.raw", "--in-place")
		if is := b.is("out.raw"); is != next || !strings.Contains(out, "in place") {
			t.Errorf("a build of %s makes image %q:\n%s", next, is, out)
		}
	}
}

// Where the file system can share blocks, the new image shares those of the old one, which stays as it is under another name.
func TestSeriesShared(t *testing.T) {
	for _, mkfs := range []string{"mkfs.xfs", "mkfs.btrfs"} {
		t.Run(mkfs, func(t *testing.T) {
			b := newSeriesBoxIn(t, hosttest.Mounted(t, mkfs))
			b.must("build", "1.toml", "--series", "box", "-o", "out.raw")
			if err := os.Link(b.path("out.raw"), b.path("old.raw")); err != nil {
				t.Fatal(err)
			}
			b.must("build", "1.toml", "--series", "box", "-o", "out.raw") // the link has changed its times
			if out := b.must("build", "2.toml", "--series", "box", "-o", "out.raw"); !strings.Contains(out, "written shared") {
				t.Errorf("the image shares nothing:\n%s", out)
			}
			if b.is("out.raw") != "2" || b.is("old.raw") != "1" {
				t.Errorf("the new image is %q, the old one %q", b.is("out.raw"), b.is("old.raw"))
			}
		})
	}
}

// A content of the build store that is damaged is noticed, and never gets into an image.
func TestSeriesDamaged(t *testing.T) {
	b := newSeriesBox(t)
	b.must("build", "1.toml", "--series", "box", "-o", "out.raw")
	objects, healed := b.stored("imprint/layers/objects"), 0
	for i, object := range objects {
		whole := read(t, object)
		os.Chmod(object, 0o600)
		bad := append([]byte{}, whole...)
		bad[len(bad)/2] ^= 1
		writeFile(t, object, string(bad))
		if err := b.imprint("series", "verify").Run(); err == nil || err.Error() != "exit status 5" {
			t.Errorf("%s is damaged: verify ends with %v", object, err)
		}
		if err := b.imprint("series", "build", "box:1", "-o", "new.raw").Run(); err == nil && b.is("new.raw") != "1" {
			t.Errorf("%s is damaged, and is in an image", object)
		}
		if i%3 == 0 { // a build finds it wrong, or reads its source again, or does not need it
			os.Remove(b.path("new.raw"))
			out, err := b.imprint("build", "1.toml", "--series", "box", "-o", "new.raw", "--no-sync").CombinedOutput()
			if err == nil && b.is("new.raw") != "1" {
				t.Errorf("%s is damaged, and is in a new image", object)
			}
			if err != nil && strings.Contains(string(out), "build again") {
				healed++
				b.must("build", "1.toml", "--series", "box", "-o", "new.raw", "--no-sync")
			}
		}
		os.Remove(object)
		writeFile(t, object, string(whole))
		os.Remove(b.path("new.raw"))
	}
	if healed == 0 {
		t.Error("no build has removed something damaged")
	}
}

// After a roll-back the image that is made boots as the earlier generation.
func TestSeriesBoot(t *testing.T) {
	t.Parallel()
	dir := configs(t)
	text := string(read(t, filepath.Join(dir, "syslinux.toml")))
	store := filepath.Join(t.TempDir(), "store")
	image := filepath.Join(t.TempDir(), "image.raw")
	build := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("imprint", append(args, "--build-store", store)...).CombinedOutput(); err != nil {
			t.Fatalf("imprint %q: %v\n%s", args, err, out)
		}
	}
	for _, generation := range []string{"one", "two"} {
		file := filepath.Join(dir, "series.toml")
		changed := strings.Replace(strings.ReplaceAll(text, " quiet", ""), "cmdline = \"", "cmdline = \"generation="+generation+" ", 1)
		if changed == text {
			t.Fatal("the description has no command line")
		}
		writeFile(t, file, changed)
		build("build", file, "-o", image, "--series", "demo")
	}
	build("series", "roll-back", "demo")
	build("series", "build", "demo", "-o", image)
	r := qemutest.Boot(t, qemutest.Options{Image: image, Mode: "bios", Marker: marker, Bad: failure, PowerOff: true})
	if !strings.Contains(r.Serial, "generation=one ") {
		t.Errorf("the console does not show the first generation:\n%s", r.Serial)
	}
}

func device(info os.FileInfo) uint64 { return uint64(info.Sys().(*syscall.Stat_t).Dev) }
func inode(info os.FileInfo) uint64  { return info.Sys().(*syscall.Stat_t).Ino }

func born(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BTIME, &st); err != nil {
		t.Fatal(err)
	}
	return st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
}
