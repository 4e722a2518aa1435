package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprint/internal/demostore"

	"golang.org/x/sys/unix"
)

// Parts of the descriptions of TestTorture.
const (
	tortureStore = "name = \"torture\"\narch = \"x86_64\"\n[[source]]\npath = \"store\"\nregistration = \"registration\"\n" +
		"[[closure]]\nname = \"system\"\nroots = [\"system\"]\nprofile = \"system\"\n"
	tortureTree   = "[[partition.tree]]\nsource = \"tree\"\ntarget = \"/tree\"\n[[partition.file]]\npath = \"/file\"\nsource = \"file\"\n"
	tortureRoot   = "[[partition]]\nname = \"root\"\ntype = \"root\"\nclosures = [\"system\"]\nfilesystem = "
	tortureISO    = "format = \"iso\"\n" + tortureStore + "[[partition]]\nname = \"iso\"\nfilesystem = \"iso9660\"\n"
	tortureInside = "[[partition]]\nname = \"root\"\ninside = \"iso\"\npath = \"/root\"\nclosures = [\"system\"]\nfilesystem = "
	tortureBoot   = "[boot]\nloader = \"syslinux\"\n[[boot.entry]]\ntitle = \"torture\"\nkernel = \"${closure.system}/kernel\"\n" +
		"initrd = [\"${closure.system}/initrd\"]\n[[partition]]\nname = \"boot\"\ntype = \"xbootldr\"\nfilesystem = \"fat\"\n"
	tortureHashes  = "[[partition]]\nname = \"tree\"\ntype = \"root-verity\"\nfilesystem = \"none\"\n"
	oldDescription = "name = \"old\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nfilesystem = \"none\"\ncontent = \"tree/many/9\"\n"
)

// A format is a file system, or an image format, and the engine that makes it, or the format of the file.
type format struct {
	name, description string
	tools             bool     // host tools make it
	suffix            string   // of the image's name, which decides its format
	more              []string // suffixes of further outputs

	file   string      // of the description
	want   [][2]string // digests of the images and the manifests
	takes  time.Duration
	onDisk int64 // bytes that the images take
}

var tortureFormats = []format{
	{name: "ext4", description: tortureStore + tortureRoot + "\"ext4\"\n" + tortureTree},
	{name: "ext4-mke2fs", tools: true, description: tortureStore + tortureRoot + "\"ext4\"\nengine = \"mke2fs\"\n" + tortureTree},
	{name: "fat", description: "name = \"torture\"\n[[partition]]\nname = \"esp\"\ntype = \"esp\"\nfilesystem = \"fat\"\n" + tortureTree},
	{name: "erofs", description: tortureStore + tortureRoot + "\"erofs\"\n" + tortureTree},
	{name: "squashfs", tools: true, description: tortureStore + tortureRoot + "\"squashfs\"\n" + tortureTree},
	{name: "iso", description: tortureISO + "closures = [\"system\"]\n" + tortureTree},
	{name: "iso-erofs", description: tortureISO + tortureTree + tortureInside + "\"erofs\"\n"},
	{name: "iso-squashfs", tools: true, description: tortureISO + tortureTree + tortureInside + "\"squashfs\"\n"},
	{name: "syslinux", tools: true, description: "table = \"mbr\"\n" + tortureStore + tortureBoot + tortureTree + tortureRoot + "\"ext4\"\n"},
	{name: "verity", description: tortureStore + tortureRoot + "\"ext4\"\nverity = \"tree\"\n" + tortureTree + tortureHashes},
	{name: "qcow2", suffix: ".qcow2", description: tortureStore + tortureRoot + "\"ext4\"\n" + tortureTree},
	{name: "zst", suffix: ".raw.zst", description: tortureStore + tortureRoot + "\"ext4\"\n" + tortureTree},
	{name: "vmdk", suffix: ".vmdk", description: tortureStore + tortureRoot + "\"erofs\"\n" + tortureTree},
	{name: "several", suffix: ".raw", more: []string{".qcow2", ".raw.zst", ".vhd"}, description: tortureStore + tortureRoot + "\"ext4\"\n" + tortureTree},
	{name: "ova", suffix: ".ova", description: tortureStore + tortureRoot + "\"erofs\"\nverity = \"tree\"\n" + tortureTree + tortureHashes},
}

// images returns the paths of the outputs, of which base is the name without a suffix.
func (f *format) images(base string) []string {
	paths := []string{base + f.suffix}
	for _, suffix := range f.more {
		paths = append(paths, base+suffix)
	}
	return paths
}

// A rack is where images are built: sources, descriptions, and an older image that builds are to replace.
type rack struct {
	program, dir    string
	image, manifest []byte // the older image, which is any bytes, and its manifest
	formats         []*format
	sources         []source
	likely          []source // those that take time to read, and the registration
	mounts          bool     // file systems can be mounted
}

// A source is a file that goes into images.
type source struct {
	path    string
	content []byte
	info    fs.FileInfo
}

// newRack makes the sources, and builds every image once to know what is right.
func newRack(t *testing.T) *rack {
	t.Helper()
	t.Setenv("CGO_ENABLED", "0") // the loader of shared libraries would have exit codes of its own
	k := &rack{program: buildProgram(t), dir: public(t)}
	if _, _, err := demostore.Synthetic(k.dir, "x86_64"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"out", "small", "tmp", "check", "tree/many"} {
		if err := os.MkdirAll(filepath.Join(k.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	noise := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	writeFile(t, k.dir+"/tree/large", string(noise))
	writeFile(t, k.dir+"/file", string(noise[:300_000]))
	for i := range 50 {
		writeFile(t, fmt.Sprintf("%s/tree/many/%d", k.dir, i), strings.Repeat(strconv.Itoa(i), i))
	}
	k.findSources(t)
	if unmount, err := k.mount(""); err != nil {
		t.Logf("without full file systems, which need root: %v", err)
	} else if k.mounts = true; unmount() != nil {
		t.Fatal("cannot unmount")
	}
	writeFile(t, k.dir+"/old.toml", oldDescription)
	k.mustBuild(t, "old.toml", "check/image")
	k.image, k.manifest = noise[:64<<10], read(t, k.dir+"/check/image.json")
	for _, f := range tortureFormats {
		f.file = f.name + ".toml"
		writeFile(t, filepath.Join(k.dir, f.file), f.description)
		f.takes = tooLong
		images := f.images("check/image")
		for range 2 { // the first one may read from a disk
			start := time.Now()
			k.mustBuild(t, f.file, images...)
			f.takes = min(f.takes, time.Since(start))
		}
		for _, image := range images {
			info, err := os.Stat(filepath.Join(k.dir, image))
			if err != nil {
				t.Fatal(err)
			}
			f.onDisk += info.Sys().(*syscall.Stat_t).Blocks * 512
			f.want = append(f.want, digests(filepath.Join(k.dir, image)))
		}
		k.formats = append(k.formats, &f)
	}
	return k
}

// command is a build to which nothing happens.
func (k *rack) command(file string, images ...string) *exec.Cmd {
	args := []string{"build", file, "--no-sync"}
	for _, image := range images {
		args = append(args, "-o", image)
	}
	cmd := exec.Command(k.program, args...)
	cmd.Dir = k.dir
	return cmd
}

func (k *rack) mustBuild(t *testing.T, file string, images ...string) {
	t.Helper()
	if out, err := k.command(file, images...).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", file, err, out)
	}
}

// mount makes dir/small a file system of its own until what it returns is called.
func (k *rack) mount(options string) (unmount func() error, err error) {
	small := k.dir + "/small"
	return func() error { return unix.Unmount(small, unix.MNT_DETACH) }, unix.Mount("torture", small, "tmpfs", 0, options)
}

// findSources lists the files of the store and of the tree, and opens the directories of the store to changes.
func (k *rack) findSources(t *testing.T) {
	t.Helper()
	for _, top := range []string{"store/nix/store", "tree", "file", "registration"} {
		err := filepath.WalkDir(filepath.Join(k.dir, top), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(path, 0o755)
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			s := source{path: path, content: read(t, path)}
			s.info, err = d.Info()
			if k.sources = append(k.sources, s); len(s.content) > 50_000 || top == "registration" {
				k.likely = append(k.likely, s)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkSources fails the test unless every source is what it was at the beginning.
func (k *rack) checkSources(t *testing.T) {
	t.Helper()
	for _, s := range k.sources {
		info, err := os.Lstat(s.path)
		if err != nil || info.Mode() != s.info.Mode() || !info.ModTime().Equal(s.info.ModTime()) || !bytes.Equal(read(t, s.path), s.content) {
			t.Errorf("the source %s has changed", s.path)
		}
	}
}

// flip changes a bit in place.
func (s source) flip(r *rand.Rand) {
	if len(s.content) == 0 {
		return
	}
	os.Chmod(s.path, 0o644)
	if f, err := os.OpenFile(s.path, os.O_RDWR, 0); err == nil {
		defer f.Close()
		i := r.IntN(len(s.content))
		f.WriteAt([]byte{s.content[i] ^ 1<<r.IntN(8)}, int64(i))
	}
}

// replace puts what is made under another name in the place of the source, without a moment in which there is nothing.
func (s source) replace(with func(path string)) {
	beside := s.path + ".new"
	with(beside)
	os.Rename(beside, s.path)
}

// restore makes the source what it was.
func (s source) restore() error {
	os.RemoveAll(s.path + ".new")
	return cmp.Or(os.RemoveAll(s.path), os.WriteFile(s.path, s.content, 0o600), os.Chmod(s.path, s.info.Mode().Perm()),
		os.Chtimes(s.path, s.info.ModTime(), s.info.ModTime()))
}
