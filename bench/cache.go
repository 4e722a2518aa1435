package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// fromCaches returns the contenders that take the store from a binary cache in a directory: with zstd and listings, as nix copy makes it.
func (o options) fromCaches() []contender {
	build := func(w workload, out, source string) (string, error) {
		description, err := describe(w, disk)
		if err != nil {
			return "", err
		}
		_, rest, _ := strings.Cut(description, "[[closure]]")
		roots, rest, _ := strings.Cut(rest, "[[partition]]") // the ESP, whose files are in no cache
		_, rest, _ = strings.Cut(rest, "[[partition]]\n"+disk.store)
		head, _, _ := strings.Cut(description, "[[source]]")
		file := filepath.Join(out, "image.toml")
		return file, os.WriteFile(file, []byte(head+"[[source]]\n"+source+"[[closure]]"+roots+"[[partition]]\n"+disk.store+rest), 0o644)
	}
	script := func(w workload, out, source, text string) (*exec.Cmd, error) {
		if err := w.makeCache(); err != nil {
			return nil, err
		}
		file, err := build(w, out, source)
		cmd := exec.Command("sh", "-euc", text, o.program, file, out, w.dir)
		cmd.Env = nixEnv(out)
		return cmd, err
	}
	return []contender{
		{name: "cache", title: "imprint from a binary cache with listings, the whole job", tools: []string{"nix", "nix-store"}, command: func(w workload, out string) (*exec.Cmd, error) {
			return script(w, out, fmt.Sprintf("url = %q\nunsigned = true\n", "file://"+w.path("cache")), `exec "$0" build "$1" -o "$2/disk.raw" --build-store "$2/keep"`)
		}},
		{name: "cache-plain", title: "the same without the image digest, since the archives are hashed once then", tools: []string{"nix", "nix-store"}, command: func(w workload, out string) (*exec.Cmd, error) {
			return script(w, out, fmt.Sprintf("url = %q\nunsigned = true\n", "file://"+w.path("cache")), `exec "$0" build "$1" -o "$2/disk.raw" --build-store "$2/keep" --no-digest`)
		}},
		{name: "cache-floor", title: "the archives of that cache unpacked and hashed, nothing else", tools: []string{"nix", "nix-store"}, command: func(w workload, out string) (*exec.Cmd, error) {
			if err := w.makeCache(); err != nil {
				return nil, err
			}
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			return exec.Command(self, "archives", w.path("cache")), emptyDisk(out)
		}},
		{name: "cache-written", title: "the archives of that cache unpacked, hashed and written to one file", tools: []string{"nix", "nix-store"}, command: func(w workload, out string) (*exec.Cmd, error) {
			if err := w.makeCache(); err != nil {
				return nil, err
			}
			self, err := os.Executable()
			return exec.Command(self, "archives", w.path("cache"), filepath.Join(out, "disk.raw")), err
		}},
		{name: "cache-nix", title: "nix copy from that cache into a store, and imprint from there", tools: []string{"nix", "nix-store"}, command: func(w workload, out string) (*exec.Cmd, error) {
			return script(w, out, fmt.Sprintf("path = %q\n", filepath.Join(out, "store")),
				`nix copy --no-check-sigs --from "file://$3/cache" --to "local?root=$2/store" $(cat "$3/store-paths") 2> "$2/log" && "$0" build "$1" -o "$2/disk.raw"`)
		}},
	}
}

// nixEnv is an environment in which Nix uses nothing of the user.
func nixEnv(dir string) []string {
	return append(os.Environ(), "HOME="+dir, "NIX_CONF_DIR="+dir, "NIX_CONFIG=experimental-features = nix-command\nbuild-users-group =")
}

// makeCache makes the cache of a workload unless it exists. The database for that is apart from the store, which other contenders copy.
func (w workload) makeCache() error {
	if _, err := os.Stat(w.path("cache")); err == nil {
		return nil
	}
	dir, err := os.MkdirTemp(w.dir, "state-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("sh", "-euc", `
store="local?store=/nix/store&real=$0/root/nix/store&state=$1/state&log=$1/log"
NIX_REMOTE=$store nix-store --load-db < "$0/registration"
nix copy --no-check-sigs --from "$store" --all --to "file://$1/cache?compression=zstd&write-nar-listing=true"`, w.dir, dir)
	cmd.Env = nixEnv(dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the cache: %v\n%s", err, out)
	}
	return os.Rename(filepath.Join(dir, "cache"), w.path("cache"))
}

// hashArchives unpacks and hashes the archives of a cache on all processors, and writes them to a file, one after the other, unless its name is "".
func hashArchives(cache, to string) error {
	all, err := filepath.Glob(filepath.Join(cache, "nar/*.nar.zst"))
	if err != nil || len(all) == 0 {
		return fmt.Errorf("no archives in %s, %v", cache, err)
	}
	var file *os.File
	if to != "" {
		if file, err = os.Create(to); err != nil {
			return err
		}
		defer file.Close()
	}
	var next, room atomic.Int64
	return inParallel(runtime.NumCPU(), func() error {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(all) {
				return nil
			}
			if err := hashArchive(all[i], file, &room); err != nil {
				return err
			}
		}
	})
}

// hashArchive unpacks an archive in pieces, which it hashes and writes to the next room in a file, unless that is nil.
func hashArchive(name string, file *os.File, room *atomic.Int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	sum := sha256.New()
	if file == nil {
		_, err = io.Copy(sum, z)
		return err
	}
	for buf := make([]byte, 1<<20); ; {
		n, err := io.ReadFull(z, buf)
		sum.Write(buf[:n])
		if _, wrote := file.WriteAt(buf[:n], room.Add(int64(n))-int64(n)); wrote != nil {
			return wrote
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
