package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"imprint/closure/nar"
	"imprint/internal/hosttree"
	"imprint/internal/nixtest"
	"imprint/internal/s3test"

	"github.com/klauspost/compress/zstd"
)

// A sourceWorld is a store of Nix's with items of every kind: a source, a derivation that refers to it, and what was built.
type sourceWorld struct {
	*testing.T
	store *nixtest.Store
	dir   string
	roots []string
}

func newSourceWorld(t *testing.T) *sourceWorld {
	t.Helper()
	w := &sourceWorld{T: t, store: nixtest.NewStore(t), dir: t.TempDir()}
	top := filepath.Join(w.dir, "top")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(top, "empty"), 0o755),
		os.WriteFile(filepath.Join(top, "run"), []byte("#!/bin/sh\n"), 0o755),
		os.WriteFile(filepath.Join(top, "same"), []byte(strings.Repeat("same", 5000)), 0o644),
		os.WriteFile(filepath.Join(top, "again"), []byte(strings.Repeat("same", 5000)), 0o644),
		os.WriteFile(filepath.Join(top, "holes"), append(make([]byte, 1<<20), "end"...), 0o644),
		os.Symlink("run", filepath.Join(top, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	source := w.store.Nix(t, "nix-store", "--add", top)
	drv := w.store.Nix(t, "nix-instantiate", "--expr", fmt.Sprintf(
		`derivation { name = "built"; system = "x86_64-linux"; builder = "/bin/sh"; source = builtins.storePath %q; text = builtins.toFile "text" "hello"; }`, source))
	w.roots = []string{w.build(drv, source), drv}
	return w
}

// build puts an item into the store that a derivation might have built.
func (w *sourceWorld) build(drv, source string) string {
	w.Helper()
	path := storePath("built")
	on := w.store.Root + path
	if err := os.WriteFile(on, []byte(source+" "+path+"\n"), 0o444); err != nil {
		w.Fatal(err)
	}
	n, err := new(hosttree.Scanner).Read(on)
	if err != nil {
		w.Fatal(err)
	}
	hash, size, err := nar.Hash(n)
	if err != nil {
		w.Fatal(err)
	}
	registration := filepath.Join(w.dir, "registration")
	writeFile(w, registration, fmt.Sprintf("%s\n%x\n%d\n%s\n2\n%s\n%s\n", path, hash, size, drv, source, path))
	w.store.Nix(w, "sh", "-c", "nix-store --load-db < "+registration)
	return path
}

// image builds an image from a source, and returns its content. It fails the test if there is a build store without a cache.
func (w *sourceWorld) image(source, keep string, flags ...string) []byte {
	w.Helper()
	file := filepath.Join(w.dir, "image.toml")
	writeFile(w, file, fmt.Sprintf("name = \"x\"\narch = \"x86_64\"\n[[source]]\n%s\n[[closure]]\nname = \"c\"\nroots = [%q, %q]\n"+
		"[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"c\"]\n", source, w.roots[0], w.roots[1]))
	image := filepath.Join(w.dir, "x.raw")
	imprint(w, append([]string{"build", file, "-o", image, "--build-store", keep}, flags...)...)
	content, err := os.ReadFile(image)
	if err != nil {
		w.Fatal(err)
	}
	return content
}

// One closure makes one image, wherever its items come from: a database, an export stream, a cache on this machine with each compression that
// is supported, and one on a server. The second time, a server is asked for nothing.
func TestSources(t *testing.T) {
	w := newSourceWorld(t)
	keep := func() string { return filepath.Join(t.TempDir(), "keep") }
	stream := filepath.Join(w.dir, "stream")
	w.store.Nix(t, "sh", "-c", fmt.Sprintf("nix-store --export $(nix-store -qR %s) > %s", strings.Join(w.roots, " "), stream))
	database := fmt.Sprintf("path = %q", w.store.Root)
	unused := keep()
	want := w.image(database, unused)
	if got := w.image(fmt.Sprintf("export = %q", stream), unused); !bytes.Equal(got, want) {
		t.Error("an export stream gives another image than the database")
	}
	packed := stream + ".zst"
	writeFile(t, packed, packZstd(read(t, stream)))
	if got := w.image(fmt.Sprintf("export = %q", packed), unused); !bytes.Equal(got, want) {
		t.Error("a compressed export stream gives another image than the database")
	}
	if _, err := os.Stat(unused); err == nil {
		t.Error("there is a build store without a cache")
	}

	secret := filepath.Join(w.dir, "secret")
	writeFile(t, secret, w.store.Nix(t, "nix", "key", "generate-secret", "--key-name", "test-1"))
	public := w.store.Nix(t, "sh", "-c", "nix key convert-secret-to-public < "+secret)
	w.store.Nix(t, "nix", "store", "sign", "--all", "--key-file", secret)
	want = w.image(database, unused)
	trusted := fmt.Sprintf("trusted-public-keys = [%q]", public)
	for _, c := range []string{"none", "xz", "zstd", "gzip", "bzip2", "br"} {
		cache := filepath.Join(w.dir, c)
		w.store.Nix(t, "nix", "copy", "--all", "--to", "file://"+cache+"?compression="+c)
		if got := w.image(fmt.Sprintf("url = %q\n%s", "file://"+cache, trusted), keep()); !bytes.Equal(got, want) {
			t.Errorf("a cache with compression %s gives another image than the database", c)
		}
	}

	var mu sync.Mutex
	var asked []string
	files := http.FileServer(http.Dir(filepath.Join(w.dir, "zstd")))
	s := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		files.ServeHTTP(a, r)
	}))
	defer s.Close()
	kept := keep()
	for round, n := range []int{12, 0} { // a text about the cache, and of each item a narinfo and an archive; no listing of three
		if got := w.image(fmt.Sprintf("url = %q\n%s", s.URL, trusted), kept); !bytes.Equal(got, want) {
			t.Errorf("round %d: a cache on a server gives another image than the database", round)
		}
		if len(asked) != n {
			t.Errorf("round %d: fetched %q", round, asked)
		}
		asked = nil
	}
	w.together(want, keep())
	mu.Lock()
	archives := slices.DeleteFunc(asked, func(name string) bool { return !strings.HasPrefix(name, "/nar/") })
	if len(archives) != 4 {
		t.Errorf("two builds at once have fetched %q", asked)
	}
	mu.Unlock()
	w.killed(s.URL, trusted, want)
	w.listed(trusted, want)
	w.bucket(filepath.Join(w.dir, "zstd"), trusted, want)
}

// together builds the last image twice at the same time, with one build store.
func (w *sourceWorld) together(want []byte, keep string) {
	w.Helper()
	var both sync.WaitGroup
	for i := range 2 {
		image := filepath.Join(w.dir, fmt.Sprint("together", i))
		both.Go(func() {
			out, err := exec.Command("imprint", "build", filepath.Join(w.dir, "image.toml"), "-o", image, "--build-store", keep).CombinedOutput()
			if err != nil {
				w.Errorf("%v\n%s", err, out)
			} else if !bytes.Equal(read(w.T, image), want) {
				w.Errorf("%s is another image", image)
			}
		})
	}
	both.Wait()
}

// listed builds from a cache with listings. Only the derivation gets into the build store, which planning reads.
func (w *sourceWorld) listed(trusted string, want []byte) {
	w.Helper()
	cache, keep := filepath.Join(w.dir, "listed"), filepath.Join(w.TempDir(), "keep")
	w.store.Nix(w, "nix", "copy", "--all", "--to", "file://"+cache+"?compression=zstd&write-nar-listing=true")
	w.served(cache, trusted, want)
	source := fmt.Sprintf("url = %q\n%s", "file://"+cache, trusted)
	if got := w.image(source, keep); !bytes.Equal(got, want) {
		w.Error("a cache with listings gives another image than the database")
	}
	if all := contentsIn(keep); len(all) != 1 {
		w.Errorf("kept %q", all)
	}
	for _, name := range readDir(w.T, cache) {
		if strings.HasSuffix(name, ".ls") {
			file := filepath.Join(cache, name)
			writeFile(w, file, strings.Replace(string(read(w.T, file)), `"root":{`, `"root":{"executable":true,`, 1))
		}
	}
	lie, keep := filepath.Join(w.dir, "lie.raw"), filepath.Join(w.TempDir(), "keep")
	out, err := exec.Command("imprint", "build", filepath.Join(w.dir, "image.toml"), "-o", lie, "--build-store", keep).CombinedOutput()
	if _, missing := os.Stat(lie); err == nil || missing == nil || !strings.Contains(string(out), ".ls: its files make an archive of") {
		w.Errorf("a listing that lies: %v\n%s", err, out)
	}
	// Where items are not verified as they are written, listings are not believed.
	if got := w.image(source, keep, "--no-verify"); !bytes.Equal(got, want) || len(contentsIn(keep)) != 4 {
		w.Errorf("--no-verify: another image, or kept %q", contentsIn(keep))
	}
}

// contentsIn returns the contents in a build store.
func contentsIn(keep string) []string {
	all, _ := filepath.Glob(keep + "/sha256/*/*")
	return all
}

// served builds from a cache with listings on a server. What goes straight into the image is kept, too, and the second time nothing is asked for;
// unless there is --no-keep.
func (w *sourceWorld) served(cache, trusted string, want []byte) {
	w.Helper()
	var mu sync.Mutex
	var asked []string
	var lies atomic.Bool
	files := http.FileServer(http.Dir(cache))
	s := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		if lies.Load() && strings.HasPrefix(r.URL.Path, "/nar/") {
			r.URL.Path = "/lie" + r.URL.Path
		}
		files.ServeHTTP(a, r)
	}))
	defer s.Close()
	source := fmt.Sprintf("url = %q\n%s", s.URL, trusted)
	for what, c := range map[string]struct {
		flags []string
		kept  int
		again int // requests of a second build
	}{
		"kept":     {nil, 4, 0},
		"not kept": {[]string{"--no-keep"}, 1, 6}, // listings and archives of three items
	} {
		keep := filepath.Join(w.TempDir(), "keep")
		for round, n := range []int{12, c.again} {
			if got := w.image(source, keep, c.flags...); !bytes.Equal(got, want) {
				w.Errorf("%s, round %d: another image than from the database", what, round)
			}
			if len(asked) != n {
				w.Errorf("%s, round %d: fetched %q", what, round, asked)
			}
			asked = nil
			if all := contentsIn(keep); len(all) != c.kept {
				w.Errorf("%s, round %d: kept %q", what, round, all)
			}
		}
		if left, _ := filepath.Glob(keep + "/partial/*"); len(left) > 0 {
			w.Errorf("%s: left %q", what, left)
		}
	}
	lies.Store(true)
	w.lied(cache, s.URL)
}

// lied builds the last image from a server that has other archives of the same size: each has a file in which one byte differs.
func (w *sourceWorld) lied(cache, url string) {
	w.Helper()
	mkdir(w.T, filepath.Join(cache, "lie/nar"))
	for _, name := range readDir(w.T, filepath.Join(cache, "nar")) {
		archive := bytes.Replace(unpackZstd(w.T, read(w.T, filepath.Join(cache, "nar", name))), []byte("#!/bin/sh"), []byte("#!/bin/su"), 1)
		writeFile(w, filepath.Join(cache, "lie/nar", name), packZstd(archive))
	}
	keep, image := filepath.Join(w.TempDir(), "keep"), filepath.Join(w.dir, "lied.raw")
	out, err := exec.Command("imprint", "build", filepath.Join(w.dir, "image.toml"), "-o", image, "--build-store", keep, "--no-keep").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(string(out), " from "+url+"/nar/") {
		w.Errorf("a server that lies: %v\n%s", err, out)
	}
	if _, err := os.Stat(image); err == nil {
		w.Error("a server that lies gives an image")
	}
	if left, _ := filepath.Glob(keep + "/partial/*"); len(left) > 0 {
		w.Errorf("a server that lies leaves %q", left)
	}
}

func unpackZstd(t *testing.T, content []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all, err := z.DecodeAll(content, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bucket puts a cache into a bucket, from which an image is built with the right keys only.
func (w *sourceWorld) bucket(cache, trusted string, want []byte) {
	w.Helper()
	s := s3test.New(w)
	for _, dir := range []string{"", "nar/"} {
		for _, name := range readDir(w.T, filepath.Join(cache, dir)) {
			if info, err := os.Stat(filepath.Join(cache, dir, name)); err == nil && info.Mode().IsRegular() {
				s.Put("bucket/a/"+dir+name, read(w.T, filepath.Join(cache, dir, name)))
			}
		}
	}
	w.Setenv("AWS_ACCESS_KEY_ID", "access")
	w.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	source := fmt.Sprintf("url = \"s3://bucket/a?endpoint=%s\"\n%s", s.URL, trusted)
	if got := w.image(source, filepath.Join(w.TempDir(), "keep")); !bytes.Equal(got, want) {
		w.Error("a cache in a bucket gives another image than the database")
	}
	w.Setenv("AWS_SECRET_ACCESS_KEY", "other")
	keep := filepath.Join(w.TempDir(), "keep")
	out, err := exec.Command("imprint", "plan", filepath.Join(w.dir, "image.toml"), "--build-store", keep).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "403 Forbidden (SignatureDoesNotMatch)\nhint: the secret key is a wrong one") {
		w.Errorf("with a wrong key: %v\n%s", err, out)
	}
	w.Setenv("AWS_ACCESS_KEY_ID", "")
	w.Setenv("AWS_PROFILE", "none")
	out, err = exec.Command("imprint", "plan", filepath.Join(w.dir, "image.toml"), "--build-store", keep).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `source[0].url: s3://bucket/a?endpoint=`) || !strings.Contains(string(out), `no keys: there is no profile "none" in `) {
		w.Errorf("with a profile that is missing: %v\n%s", err, out)
	}
}

func packZstd(content []byte) string {
	var b strings.Builder
	z, _ := zstd.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.String()
}

// killed kills a build that fetches. What it leaves is not in the way of the next one.
func (w *sourceWorld) killed(url, trusted string, want []byte) {
	w.Helper()
	keep := filepath.Join(w.TempDir(), "keep")
	half := make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/nar/") {
			http.Redirect(a, r, url+r.URL.Path, http.StatusFound)
			return
		}
		a.Header().Set("Content-Length", "100000")
		a.Write([]byte("\x28\xb5\x2f\xfd"))
		a.(http.Flusher).Flush()
		select {
		case half <- true:
		default:
		}
		<-r.Context().Done()
	}))
	defer slow.Close()
	file := filepath.Join(w.dir, "image.toml")
	text := strings.Replace(string(read(w.T, file)), url, slow.URL, 1)
	writeFile(w, file, text)
	c := exec.Command("imprint", "build", file, "-o", filepath.Join(w.dir, "killed.raw"), "--build-store", keep)
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	<-half
	c.Process.Kill()
	c.Wait()
	if got := w.image(fmt.Sprintf("url = %q\n%s", url, trusted), keep); !bytes.Equal(got, want) {
		w.Error("after a killed build the image is another one")
	}
	if left, _ := filepath.Glob(keep + "/partial/*"); len(left) > 0 {
		w.Errorf("a killed build leaves %q", left)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "killed.raw")); err == nil {
		w.Error("a killed build leaves an image")
	}
}
