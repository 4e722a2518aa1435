package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imprint/internal/hosttest"
)

// A keptBox is a directory with a description of a base and of an input on a server, and the image of it in want.raw.
type keptBox struct{ seriesBox }

func newKeptBox(t *testing.T) keptBox {
	b := keptBox{seriesBox{newLayerBox(t)}}
	noise := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	server := httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	t.Cleanup(server.Close)
	writeFile(t, b.path("input.bin"), string(noise))
	b.files("base", 60)
	hosttest.Run(t, "tar", "-C", b.path("base"), "-czf", b.path("base.tar.gz"), ".")
	digest := func(name string) string { return fmt.Sprintf("%x", sha256.Sum256(read(t, b.path(name)))) }
	writeFile(t, b.path("web.toml"), fmt.Sprintf(`name = "web"
[[input]]
name = "noise"
sha256 = "%s"
locators = ["%s/input.bin"]
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "ext4"
[[partition.layer]]
from = "tar:base.tar.gz@sha256:%s"
[[partition.file]]
path = "/noise.bin"
source = "${input.noise}"
`, digest("input.bin"), server.URL, digest("base.tar.gz")))
	b.must("build", "web.toml", "-o", "want.raw", "--build-store", "other")
	return b
}

// sound checks that the build store has nothing but contents with the digests that are their names, what is derived from them, and what a killed
// process has left, which it counts.
func (b keptBox) sound() (left int) {
	b.t.Helper()
	for _, path := range b.stored("imprint") {
		name, err := filepath.Rel(b.path("cache/imprint"), path)
		if err != nil {
			b.t.Fatal(err)
		}
		switch dir, _, _ := strings.Cut(name, "/"); dir {
		case "sha256":
			if got := fmt.Sprintf("%x", sha256.Sum256(read(b.t, path))); got != filepath.Base(path) {
				b.t.Errorf("%s has the digest %s", name, got)
			}
		case "indexes", "CACHEDIR.TAG":
		default:
			left++
		}
	}
	return left
}

// again builds the image from what is kept, and checks that it is the same and that nothing is left over.
func (b keptBox) again() {
	b.t.Helper()
	b.must("build", "web.toml", "-o", "again.raw")
	sameFiles(b.t, b.path("again.raw"), b.path("want.raw"))
	if left := b.sound(); left != 0 {
		b.t.Errorf("%d files are left: %v", left, b.stored("imprint"))
	}
}

// Builds that keep a base and an input are killed at random moments: what has its name is complete, and the next build works and removes the rest.
func TestKeptKilled(t *testing.T) {
	b := newKeptBox(t)
	start := time.Now()
	b.again()
	whole := time.Since(start)
	rounds := 10
	if os.Getenv("IMPRINT_SLOW") == "1" {
		rounds = 100
	}
	random, killed := rand.New(rand.NewPCG(3, 6)), 0
	for range rounds {
		if err := os.RemoveAll(b.path("cache")); err != nil {
			t.Fatal(err)
		}
		for range 1 + random.IntN(3) {
			cmd := b.imprint("build", "web.toml", "-o", "killed.raw")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.Int64N(int64(whole))))
			cmd.Process.Kill()
			if cmd.Wait() != nil {
				killed++
			}
		}
		mkdir(t, b.path("cache/imprint"))
		b.sound()
		b.must("cache", "verify")
		b.must("env", "gc")
		b.again()
	}
	if killed == 0 {
		t.Error("no build was killed")
	}
}

// Builds that keep the same at the same time make the same image.
func TestKeptAtOnce(t *testing.T) {
	b := newKeptBox(t)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			name := fmt.Sprintf("%d.raw", i)
			if out, err := b.imprint("build", "web.toml", "-o", name).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
				return
			}
			sameFiles(t, b.path(name), b.path("want.raw"))
		})
	}
	all.Wait()
	b.again()
}

// On a full disk nothing is kept that is not complete, and nothing is left of it.
func TestKeptFullDisk(t *testing.T) {
	b := newKeptBox(t)
	needSandbox(t)
	mkdir(t, b.path("cache"))
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", `for size in 2m 66m; do
	mount -t tmpfs -o size=$size tmpfs cache
	imprint build web.toml && exit 1
	test -z "$(find cache -path '*partial/*')" || exit 2
done
mount -t tmpfs -o size=100m tmpfs cache
imprint build web.toml -o full.raw || exit 3
cmp full.raw want.raw || exit 4
rm -r cache/imprint/sha256
imprint build web.toml -o full.raw && cmp full.raw want.raw || exit 5`)
	c.Dir, c.Env = b.dir, b.command().Env
	if out, err := c.CombinedOutput(); err != nil || strings.Count(string(out), " free, and the content has more") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}
