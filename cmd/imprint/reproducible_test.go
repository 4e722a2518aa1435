package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/demostore"
	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
)

const reproducibleDescription = `
name = "same"
arch = "x86_64"
[store]
hard-link = true
[[source]]
path = "store"
registration = "registration"
[[closure]]
name = "system"
roots = ["system"]
profile = "system"
[boot]
loader = "systemd-boot"
[[boot.entry]]
title = "same"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
cmdline = "init=${closure.system}/init root=PARTUUID=${partition.root.partuuid}"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "64MiB"
[[partition.tree]]
source = "tree"
target = "/tree"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
size = "auto"
free = "10%"
closures = ["system"]
[[partition.tree]]
source = "tree"
target = "/tree"
[[partition.file]]
path = "/etc/hostname"
text = "same\n"
`

// reproducibleISO has different times, hard links between equal files, and file systems inside the ISO.
const reproducibleISO = `
name = "same"
arch = "x86_64"
format = "iso"
epoch = 86400
[[source]]
path = "store"
registration = "registration"
[[closure]]
name = "system"
roots = ["system"]
profile = "system"
[boot]
loader = "grub"
[[boot.entry]]
title = "same"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
cmdline = "init=${closure.system}/init root=UUID=${iso.uuid}"
[store]
hard-link = true
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "iso"
filesystem = "iso9660"
closures = ["system"]
[[partition.tree]]
source = "tree"
target = "/tree"
[[partition]]
name = "squashfs"
filesystem = "squashfs"
inside = "iso"
path = "/in/squashfs"
[[partition.tree]]
source = "tree"
[[partition.file]]
path = "/owned"
text = "x"
uid = 1000
gid = 100
[[partition]]
name = "erofs"
filesystem = "erofs"
inside = "iso"
path = "/in/erofs"
[[partition.tree]]
source = "tree"
`

// otherLoaders are the other boot loaders for the same disk, some of which need host tools.
var otherLoaders = map[string]struct {
	table string
	more  string // before the ESP
	tools []string
}{
	"grub":     {"gpt", "[[partition]]\nname = \"bios\"\ntype = \"bios-boot\"\nfilesystem = \"none\"\n", []string{"grub-mkimage"}},
	"syslinux": {"mbr", "[[raw]]\noffset = \"64KiB\"\nsource = \"tree/a\"\n", []string{"syslinux", "mtools"}},
	"uki":      {"gpt", "", nil},
	"extlinux": {"gpt", "", nil},
}

// A surrounding holds the conditions that may differ between two builds with the same bytes.
type surrounding struct {
	name   string
	umask  string
	env    []string
	nobody bool // build as an ordinary user, if this is root
	inside bool // in the directory of the description, which is named by a relative path
}

// Different users in different surroundings, each with a copy of the inputs, build the same image.
func TestReproducible(t *testing.T) {
	t.Parallel()
	t.Run("disk", func(t *testing.T) { reproducible(t, reproducibleDescription) })
	for name, l := range otherLoaders {
		t.Run(name, func(t *testing.T) {
			hosttest.Need(t, l.tools...)
			const esp = "[[partition]]\nname = \"esp\""
			reproducible(t, strings.NewReplacer("\"systemd-boot\"", "\""+name+"\"", esp, l.more+esp,
				"arch = ", "table = \""+l.table+"\"\narch = ").Replace(reproducibleDescription))
		})
	}
	t.Run("iso", func(t *testing.T) {
		hosttest.Need(t, "xorriso", "sqfstar", "grub-mkimage")
		reproducible(t, reproducibleISO)
	})
}

func reproducible(t *testing.T, description string) {
	t.Helper()
	program := buildProgram(t)
	var images [][]byte
	for _, s := range []surrounding{
		{name: "root", umask: "022", env: []string{"TZ=UTC", "LC_ALL=C", "GOMAXPROCS=1"}, inside: true},
		{name: "nobody", umask: "077", nobody: true, env: []string{
			"TZ=Pacific/Kiritimati", "LC_ALL=tr_TR.UTF-8", "LANG=ja_JP", "USER=nobody", "GOMAXPROCS=7",
			"MKE2FS_CONFIG=/dev/null", "MTOOLSRC=/dev/null",
		}},
	} {
		start := time.Now()
		dir := inputs(t, public(t), description)
		images = append(images, s.build(t, program, dir))
		t.Logf("%s: %d bytes in %v", s.name, len(images[len(images)-1]), time.Since(start))
	}
	same(t, images[0], images[1])
}

func same(t *testing.T, a, b []byte) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("images of %d and %d bytes", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("the images first differ at byte %d", i)
		}
	}
}

// The image does not depend on the file system that inputs and image are on, even if extents are shared.
func TestReproducibleOnFileSystems(t *testing.T) {
	program, here := buildProgram(t), surrounding{name: "here", umask: "022"}
	want := here.build(t, program, inputs(t, public(t), reproducibleDescription))
	for _, mkfs := range []string{"mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"} {
		t.Run(mkfs, func(t *testing.T) {
			same(t, here.build(t, program, inputs(t, hosttest.Mounted(t, mkfs), reproducibleDescription)), want)
		})
	}
}

// buildProgram builds the program where every user may run it. The copy that tests have in PATH is in a private directory.
func buildProgram(t *testing.T) string {
	t.Helper()
	hosttest.Need(t, "go")
	program := filepath.Join(public(t), "imprint")
	hosttest.Run(t, "go", "build", "-o", program, ".")
	return program
}

// public returns a temporary directory that every user may enter.
func public(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "reproducible-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
			if d.IsDir() {
				os.Chmod(path, 0o700)
			}
			return nil
		})
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inputs makes the description's inputs in dir: always the same names and contents, with new times and inodes.
func inputs(t *testing.T, dir, description string) string {
	t.Helper()
	if _, _, err := demostore.Demo(dir, demotest.Need(t)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "image.toml"), description)
	for name, text := range map[string]string{"a": "one", "b/c": "two", "b/d": "two", "Größe": "three"} { // in any order
		path := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, text)
	}
	return dir
}

func (s surrounding) build(t *testing.T, program, dir string) []byte {
	t.Helper()
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	description, cwd := filepath.Join(dir, "image.toml"), "/"
	if s.inside {
		description, cwd = "image.toml", dir
	}
	image := filepath.Join(out, "image.raw")
	cmd := exec.Command("sh", "-c", "umask "+s.umask+` && exec "$@"`, "sh", program, "build", description, "-o", image)
	cmd.Dir = cwd
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + out}, s.env...)
	if s.nobody && os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := os.Chown(out, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", s.name, err, said)
	}
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(image + ".json")
	if err != nil || strings.Contains(string(manifest), dir) {
		t.Errorf("the manifest contains the path of a directory on this machine, or cannot be read: %v", err)
	}
	return content
}
