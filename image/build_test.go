package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/image/gpt"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/stream"
)

// A world is a source store and a description in a directory of a test's own.
type world struct {
	t   testing.TB
	dir string
}

func newWorld(t testing.TB) world { return world{t, t.TempDir()} }

func (w world) file(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// path is a store path for a name; its digest means nothing.
func (w world) path(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "/nix/store/" + nar.EncodeBase32(sum[:20]) + "-" + name
}

// item makes a store item of files, name to content ("-> x" is a symlink), and registers it.
func (w world) item(name string, refs []string, files map[string]string) string {
	w.t.Helper()
	path := w.path(name)
	for file, content := range files {
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			w.file("store"+path+"/x", "")
			os.Remove(w.dir + "/store" + path + "/x")
			if err := os.Symlink(target, w.dir+"/store"+path+"/"+file); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		w.file("store"+path+"/"+file, content)
	}
	node, err := new(hosttree.Scanner).Read(w.dir + "/store" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	digest, size, err := nar.Hash(node)
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := os.OpenFile(w.dir+"/registration", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\n%x\n%d\n\n%d\n", path, digest, size, len(refs))
	for _, r := range refs {
		fmt.Fprintln(f, r)
	}
	return path
}

// plan takes a description as far as a plan; the source is there already.
func (w world) plan(text string) (*Plan, error) {
	w.t.Helper()
	text = "name = \"test\"\narch = \"x86_64\"\n" + text + "\n[[source]]\npath = \"store\"\nregistration = \"registration\"\n"
	d, err := Parse("test.toml", []byte(text))
	if err != nil {
		return nil, err
	}
	return Resolve(context.Background(), d, Inputs{Dir: w.dir, HostDirs: []string{w.dir + "/usr"}, OutDir: w.dir})
}

// build carries a plan out and gives the bytes of the disk.
func build(t testing.TB, p *Plan, o WriteOptions) ([]byte, *Layout, *Result) {
	t.Helper()
	l, err := p.Layout()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := p.Write(context.Background(), f, l, o)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return content, l, r
}

const bootable = `
[[closure]]
name = "system"
roots = ["%s"]
profile = "system"
[boot]
loader = "systemd-boot"
[[boot.entry]]
title = "test"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd", "extra.img"]
cmdline = "init=${closure.system}/init root=PARTUUID=${partition.root.partuuid} disk=${disk.guid}"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "8MiB"
[[partition]]
name = "blob"
type = "linux-generic"
filesystem = "none"
content = "blob.bin"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "10%%"
closures = ["system"]
  [[partition.file]]
  path = "/etc/machine"
  text = "${partition.root.uuid} $$HOME"
  [[partition.link]]
  path = "/run/booted"
  target = "${closure.system}"
  [[partition.tree]]
  source = "rootfs"
`

// bootWorld has a small system with a kernel of its own.
func bootWorld(t testing.TB) (world, string) {
	w := newWorld(t)
	noise := make([]byte, 5<<20)
	rand.New(rand.NewSource(1)).Read(noise)
	copy(noise, "MZ") // as EFI programs begin
	kernel := w.item("linux", nil, map[string]string{"bzImage": string(noise), "empty": ""})
	lib := w.item("lib", nil, map[string]string{"lib.so": strings.Repeat("lib", 3000), "doc/a": "a", "doc/b": "b"})
	system := w.item("system", []string{kernel, lib, w.path("system")}, map[string]string{
		"kernel": "-> " + kernel + "/bzImage", "initrd": "the initrd", "init": "-> ../" + filepath.Base(lib) + "/lib.so", "broken": "-> nowhere",
	})
	w.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ an EFI program")
	w.file("extra.img", "an initrd of the host")
	w.file("blob.bin", string(noise[:100_000]))
	w.file("rootfs/etc/hosts", "127.0.0.1 localhost\n")
	w.file("rootfs/var/log/empty", "")
	return w, system
}

// The layout, read at any offset with no disk there, is what Write writes; and Write writes the same however many workers there are.
func TestLayoutIsTheDisk(t *testing.T) {
	w, system := bootWorld(t)
	p, err := w.plan(fmt.Sprintf(bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, result := build(t, p, WriteOptions{SHA256: true})
	if int64(len(disk)) != l.Size {
		t.Fatalf("the disk has %d bytes, the layout %d", len(disk), l.Size)
	}
	whole := make([]byte, l.Size)
	if err := l.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, disk) {
		t.Fatalf("the layout differs from the disk at byte %d", firstDifference(whole, disk))
	}
	random := rand.New(rand.NewSource(2))
	for range 300 {
		off := random.Int63n(l.Size)
		part := bytes.Repeat([]byte{0xaa}, int(random.Int63n(min(100_000, l.Size-off))))
		if err := l.ReadAt(part, off); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(part, disk[off:off+int64(len(part))]) {
			t.Fatalf("%d bytes at %d differ from the disk", len(part), off)
		}
	}
	if sum := sha256.Sum256(disk); fmt.Sprintf("%x", sum) != result.SHA256 {
		t.Error("the SHA-256 is not that of the disk")
	}
	again, _, other := build(t, p, WriteOptions{})
	if !bytes.Equal(again, disk) || other.Digest != result.Digest {
		t.Error("a second build gave other bytes")
	}
	quick, _, _ := build(t, p, WriteOptions{NoVerify: true, NoDigest: true})
	if !bytes.Equal(quick, disk) {
		t.Error("a build without hashes gave other bytes")
	}
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// The digest in the result is what anybody computes who reads the disk.
func TestDigest(t *testing.T) {
	w, system := bootWorld(t)
	p, err := w.plan(fmt.Sprintf(bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, _, result := build(t, p, WriteOptions{})
	h := sha256.New()
	for off := 0; off < len(disk); off += stream.PieceSize {
		sum := sha256.Sum256(disk[off:min(off+stream.PieceSize, len(disk))])
		h.Write(sum[:])
	}
	if want := fmt.Sprintf("sha256-4MiB:%x", h.Sum(nil)); result.Digest != want {
		t.Errorf("digest %s; the disk has %s", result.Digest, want)
	}
}

// What is written can be read back: the table, boot entries with every reference replaced, and the store's registration.
func TestDiskHolds(t *testing.T) {
	w, system := bootWorld(t)
	p, err := w.plan(fmt.Sprintf(bootable, system))
	if err != nil {
		t.Fatal(err)
	}
	disk, l, _ := build(t, p, WriteOptions{})
	table, err := gpt.Read(bytes.NewReader(disk), int64(len(disk)), 512)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range table.Partitions {
		r := l.Regions[i]
		if part.Name != r.Partition.Spec.Name || part.Start*512 != r.Offset || part.Sectors*512 != r.Size || part.UUID != r.Partition.PartUUID {
			t.Errorf("partition %d is %+v", i+1, part)
		}
		if part.Start%2048 != 0 || part.Sectors%2048 != 0 {
			t.Errorf("partition %d is not on the grain: %+v", i+1, part)
		}
	}
	root := p.Partitions[2]
	cmdline := fmt.Sprintf("options init=%s/init root=PARTUUID=%v disk=%v\n", system, root.PartUUID, p.DiskGUID)
	for _, text := range []string{cmdline, "an initrd of the host", root.Spec.UUID.String() + " $HOME", "127.0.0.1 localhost"} {
		if !bytes.Contains(disk, []byte(text)) {
			t.Errorf("the disk does not hold %q", text)
		}
	}
	for path, target := range map[string]string{
		"/nix/var/nix/profiles/system":                    "system-1-link",
		"/nix/var/nix/profiles/system-1-link":             system,
		"/nix/var/nix/gcroots/imprint/boot-test-kernel":   w.path("linux"),
		"/nix/var/nix/gcroots/imprint/boot-test-initrd-0": system,
		"/run/booted": system,
		strings.TrimPrefix(system, "/") + "/broken": "nowhere",
	} {
		n := root.Spec.Tree.Find(path)
		if n == nil || n.Target() != target {
			t.Errorf("%s does not lead to %s", path, target)
		}
	}
	if n := root.Spec.Tree.Find("/nix/var/nix/gcroots/imprint/boot-test-initrd-1"); n != nil {
		t.Error("an initrd of the host has a GC root")
	}
}

// The identity depends on contents alone: not on where things lie, nor on the order of keys, nor on comments.
func TestIdentity(t *testing.T) {
	w, system := bootWorld(t)
	text := fmt.Sprintf(bootable, system)
	seed := func(w world, text string) string {
		t.Helper()
		p, err := w.plan(text)
		if err != nil {
			t.Fatal(err)
		}
		return p.Seed.String()
	}
	first := seed(w, text)
	other, _ := bootWorld(t)
	if seed(other, text) != first {
		t.Error("another directory gives another seed")
	}
	if seed(w, "# a comment\n"+strings.Replace(text, "name = \"esp\"\ntype = \"esp\"", "type = \"esp\" # swapped\nname = \"esp\"", 1)) != first {
		t.Error("comments and the order of keys give another seed")
	}
	if seed(w, strings.Replace(text, "8MiB", "9MiB", 1)) == first {
		t.Error("another size gives the same seed")
	}
	other.file("rootfs/etc/hosts", "127.0.0.2 localhost\n")
	if seed(other, text) == first {
		t.Error("another file in a tree gives the same seed")
	}
	a, b := seed(w, "seed = \"x\"\n"+text), seed(other, "seed = \"x\"\n"+text)
	if a != b || a == first {
		t.Error("a seed that is given is not the only thing that counts")
	}
}

// Sources that are not what they were when the plan was made are found while they are written.
func TestChangesAreFound(t *testing.T) {
	for name, change := range map[string]func(w world, system string){
		"item":      func(w world, _ string) { w.file("store"+w.path("lib")+"/doc/a", "x") },
		"shrunk":    func(w world, _ string) { w.file("store"+w.path("lib")+"/lib.so", "short") },
		"grown":     func(w world, _ string) { w.file("store"+w.path("lib")+"/doc/a", "longer than it was") },
		"gone":      func(w world, _ string) { os.Remove(w.dir + "/store" + w.path("lib") + "/doc/b") },
		"host file": func(w world, _ string) { w.file("blob.bin", strings.Repeat("y", 100_000)) },
		"host tree": func(w world, _ string) { w.file("rootfs/etc/hosts", "127.0.0.3 localhost\n") },
	} {
		t.Run(name, func(t *testing.T) {
			w, system := bootWorld(t)
			p, err := w.plan(fmt.Sprintf(bootable, system))
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.Layout()
			if err != nil {
				t.Fatal(err)
			}
			change(w, system)
			f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = p.Write(context.Background(), f, l, WriteOptions{})
			if !errors.Is(err, ErrMismatch) && !errors.Is(err, stream.ErrChanged) && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Write gave %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), w.dir) && !strings.Contains(err.Error(), "/nix/store/") {
				t.Errorf("%v names no file", err)
			}
		})
	}
}

// Two closures that share an item have it once, and one database.
func TestClosuresShareItems(t *testing.T) {
	w := newWorld(t)
	lib := w.item("lib", nil, map[string]string{"lib": "x"})
	a, b := w.item("a", []string{lib}, map[string]string{"a": "a"}), w.item("b", []string{lib}, map[string]string{"b": "b"})
	p, err := w.plan(fmt.Sprintf(`
[[closure]]
name = "one"
roots = ["%s"]
[[closure]]
name = "two"
roots = ["%s", "%s"]
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["one", "two"]
`, a, b, a))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, item := range p.Partitions[0].Items {
		order = append(order, item.Info.Path.Name())
	}
	if got := strings.Join(order, " "); len(order) != 3 || order[0] != "lib" {
		t.Errorf("items in this order: %s", got)
	}
	for _, link := range []string{"one-0", "two-0", "two-1"} {
		if p.Partitions[0].Spec.Tree.Find("/nix/var/nix/gcroots/imprint/"+link) == nil {
			t.Errorf("no GC root %s", link)
		}
	}
}

// Problems of the inputs are told at the key that names them, all at once.
func TestResolveProblems(t *testing.T) {
	w, system := bootWorld(t)
	text := fmt.Sprintf(bootable, system)
	text = strings.Replace(text, "/kernel\"", "/no-kernel\"", 1)
	text = strings.Replace(text, "extra.img", "missing.img", 1)
	_, err := w.plan(text)
	var problems diag.List
	if !errors.As(err, &problems) {
		t.Fatalf("Resolve gave %v", err)
	}
	for i, want := range []string{"boot.entry[0].kernel: ", "boot.entry[0].initrd[1]: "} {
		if i >= len(problems) || !strings.Contains(problems[i].String(), want) || problems[i].Line == 0 {
			t.Errorf("problem %d is not of %s:\n%v", i, want, err)
		}
	}
}

// A mismatch names the item and both hashes.
func TestHashMismatchMessage(t *testing.T) {
	p, err := closure.Nix.ParsePath("/nix/store/00000000000000000000000000000000-x")
	if err != nil {
		t.Fatal(err)
	}
	e := &HashMismatch{Path: p, Registered: nar.Digest{1}, Found: nar.Digest{2}}
	for _, want := range []string{"-x has changed", nar.EncodeBase32(e.Registered[:]), nar.EncodeBase32(e.Found[:])} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%q does not hold %q", e.Error(), want)
		}
	}
}
