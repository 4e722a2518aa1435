package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
	"imprint/internal/qemutest"
)

// nixDescription describes a disk with two closures. Its arguments are the tables [[source]] and [store], the root of the first closure, and
// the two roots of the second.
const nixDescription = `
name = "nix"
arch = "x86_64"
%s
[[closure]]
name = "system"
roots = [%q]
profile = "system"
[[closure]]
name = "more"
roots = [%q, %q]
[boot]
loader = "systemd-boot"
timeout = 0
[[boot.entry]]
title = "nix"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
cmdline = "init=${closure.system}/init root=PARTUUID=${partition.root.partuuid} console=ttyS0 panic=-1 quiet"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "64MiB"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
size = "auto"
free = "64MiB"
closures = ["system", "more"]
[[partition.dir]]
path = "/dev"
[[partition.dir]]
path = "/proc"
[[partition.dir]]
path = "/sys"
`

// imprint runs the program, which TestMain puts in PATH.
func imprint(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("imprint", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("imprint %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// Nix finds a closure that it has built intact in the image, does not collect it, and the image boots.
func TestRealNix(t *testing.T) {
	hosttest.Need(t, "sgdisk", "fsck.fat")
	s := nixtest.Make(t, nixtest.Options{Large: true, Newline: true})
	build := func(t *testing.T, source string) string {
		dir := t.TempDir()
		file, image := filepath.Join(dir, "image.toml"), filepath.Join(dir, "nix.raw")
		writeFile(t, file, fmt.Sprintf(nixDescription, source, s.System, s.Extra, s.Derivation))
		imprint(t, "build", file, "-o", image)
		checkDisk(t, image)
		return image
	}
	extract := func(t *testing.T, image string) nixtest.Tree {
		return nixtest.Extract(t, image, nixtest.Partition(t, image, "root"))
	}
	roots := []string{s.System, s.Extra, s.Derivation}
	database := fmt.Sprintf("[[source]]\npath = %q\n", s.Root)

	t.Run("busy", func(t *testing.T) {
		checkBusy(t, s, fmt.Sprintf(nixDescription, database, s.System, s.Extra, s.Derivation))
	})
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		image := build(t, database)
		s.Judge(t, nixtest.Target{Tree: extract(t, image), Roots: roots, Epoch: 1})
		boot(t, image, s.System)
	})
	t.Run("registration", func(t *testing.T) {
		t.Parallel()
		registration := filepath.Join(t.TempDir(), "registration")
		writeFile(t, registration, s.Registration(t, roots...))
		image := build(t, database+fmt.Sprintf("registration = %q\n", registration))
		s.Judge(t, nixtest.Target{Tree: extract(t, image), Roots: roots, Epoch: 1, Unsigned: true})
	})
	t.Run("cache", func(t *testing.T) {
		cache := filepath.Join(t.TempDir(), "cache")
		s.Copy(t, "file://"+cache+"?compression=zstd")
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		got := read(t, build(t, fmt.Sprintf("[[source]]\nurl = %q\nunsigned = true\n", "file://"+cache)))
		if want := read(t, build(t, database)); !bytes.Equal(got, want) {
			t.Error("from a cache the image is another one than from the database")
		}
	})
	t.Run("hard links", func(t *testing.T) {
		t.Parallel()
		linked := extract(t, build(t, database+"[store]\nflavor = \"nix\"\nhard-link = true\n"))
		plain := extract(t, build(t, database))
		plain.Optimise(t)
		if got, want := linked.Links(t), plain.Links(t); linked.Mounted && !maps.Equal(got, want) {
			t.Errorf("%d linked files, Nix links %d:\n%v\n%v", len(got), len(want), got, want)
		}
		s.Judge(t, nixtest.Target{Tree: linked, Roots: roots, Epoch: 1})
	})
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkDisk checks the partition table with sgdisk and the ESP with fsck.fat.
func checkDisk(t *testing.T, image string) {
	t.Helper()
	if out := hosttest.Run(t, "sgdisk", "-v", image); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v: %s", out)
	}
	esp := filepath.Join(t.TempDir(), "esp")
	r := nixtest.Partition(t, image, "esp")
	hosttest.Run(t, "dd", "if="+image, "of="+esp, "bs=1M", "iflag=skip_bytes,count_bytes", "status=none",
		fmt.Sprint("skip=", r.Offset), fmt.Sprint("count=", r.Length))
	hosttest.Run(t, "fsck.fat", "-n", esp)
}

// boot boots an image with a system of demostore or nixtest.
func boot(t *testing.T, image, system string) {
	t.Helper()
	r := qemutest.Boot(t, qemutest.Options{Image: image, Marker: "^imprint: ready$", Bad: "^imprint: FAIL", PowerOff: true})
	for _, want := range []string{"imprint: hello from " + system + "\n", ", as asked\n"} {
		if !strings.Contains(r.Serial, want) {
			t.Errorf("no %q on the console:\n%s", want, r.Serial)
		}
	}
}
