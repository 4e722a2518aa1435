package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

// The identity depends on contents alone: not on host paths, the order of keys, or comments.
func TestIdentity(t *testing.T) {
	w, system := imagetest.Boot(t)
	text := fmt.Sprintf(imagetest.Bootable, system)
	seed := func(w imagetest.World, text string) string {
		t.Helper()
		p, err := w.Plan(text)
		if err != nil {
			t.Fatal(err)
		}
		return p.Seed.String()
	}
	first := seed(w, text)
	other, _ := imagetest.Boot(t)
	if seed(other, text) != first {
		t.Error("another directory gives another seed")
	}
	if seed(w, "# a comment\n"+strings.Replace(text, "name = \"esp\"\ntype = \"esp\"", "type = \"esp\" # swapped\nname = \"esp\"", 1)) != first {
		t.Error("comments and the order of keys give another seed")
	}
	if seed(w, strings.Replace(text, "8MiB", "9MiB", 1)) == first {
		t.Error("another size gives the same seed")
	}
	other.File("rootfs/etc/hosts", "127.0.0.2 localhost\n")
	if seed(other, text) == first {
		t.Error("another file in a tree gives the same seed")
	}
	a, b := seed(w, "seed = \"x\"\n"+text), seed(other, "seed = \"x\"\n"+text)
	if a != b || a == first {
		t.Error("a seed that is given is not the only thing that counts")
	}
}

// Kernels of the host count with their content, not with their path.
func TestIdentityOfHostKernels(t *testing.T) {
	seed := func(path, content string) string {
		w := imagetest.New(t)
		system := w.Item("system", nil, map[string]string{"a/initrd": "first", "b/initrd": "second"})
		w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "EFI")
		w.File(path, "MZ"+content)
		p, err := w.Plan(fmt.Sprintf(imagetest.KernelOnly, system, path))
		if err != nil {
			t.Fatal(err)
		}
		return p.Seed.String()
	}
	if first := seed("k1/bz", "x"); first == seed("k1/bz", "y") || first != seed("k2/bz", "x") {
		t.Error("the seed depends on the path of a kernel and not on its content")
	}
}

// Every key that changes a tree changes the identity; one that is written with its default does not.
func TestIdentityOfTrees(t *testing.T) {
	w := imagetest.New(t)
	w.File("a/etc/passwd", "alice:x:1:1:::\n")
	w.File("a/etc/group", "staff:x:2:\n")
	w.File("b/etc/motd", "b")
	const text = `
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
dir = [{ path = "/d" }]
file = [{ path = "/f", text = "" }]
link = [{ path = "/l", target = "f" }]
tree = [{ source = "a" }, { source = "b" }]
attr = [{ path = "/etc/*", mode = "0600" }]
`
	seen := map[string]string{}
	for _, change := range [][2]string{
		{"", ""}, {"\"/d\"", "\"/d\", user = \"alice\""}, {"\"/d\"", "\"/d\", group = \"staff\""}, {"text = \"\"", "text = \"\", user = \"alice\""},
		{"text = \"\"", "text = \"\", override = true"}, {"\"f\"", "\"f\", override = true"}, {"\"f\"", "\"f\", group = \"staff\""},
		{"\"b\"", "\"b\", override = true"}, {"\"0600\"", "\"0640\""}, {"\"0600\"", "\"0600\", uid = 0"}, {"\"0600\"", "\"0600\", gid = 0"},
		{"mode = \"0600\"", "uid = 7"}, {"\"/etc/*\"", "\"/etc/**\""}, {"attr = [{ path = \"/etc/*\", mode = \"0600\" }]\n", ""},
		{"\ndir", "\ngrow-at-boot = true\ndir"}, {"\ndir", "\nfstab = true\ndir"}, {"\ndir", "\nfstab = true\nmount = \"/\"\ndir"},
	} {
		p, err := w.Plan(strings.Replace(text, change[0], change[1], 1))
		if err != nil {
			t.Fatal(change, err)
		}
		if other, known := seen[p.Seed.String()]; known {
			t.Errorf("%q gives the same seed as %q", change[1], other)
		}
		seen[p.Seed.String()] = change[1]
	}
	first, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	same, err := w.Plan(strings.Replace(text, "\"b\"", "\"b\", override = false", 1))
	if err != nil || same.Seed != first.Seed {
		t.Errorf("a default that is written gives another seed, %v", err)
	}
}

// Every key of a menu and of a compression changes the identity.
func TestIdentityOfMenusAndCompression(t *testing.T) {
	w, system := imagetest.Boot(t)
	const packed = "[[partition]]\nname = \"packed\"\ntype = \"linux-generic\"\nfilesystem = \"squashfs\"\n"
	text := fmt.Sprintf(imagetest.Bootable, system) + packed
	const boot = "[boot]\n"
	seen := map[string]string{}
	for _, change := range [][2]string{
		{"", ""}, {boot, boot + "editor = false\n"}, {boot, boot + "editor = true\n"}, {boot, boot + "console-mode = \"max\"\n"},
		{boot, boot + "extra-lines = [\"auto-entries no\"]\n"}, {"initrd = [", "plain = true # ["}, {"initrd = [", "# ["}, {packed, packed + "compression = \"xz\"\n"},
		{packed, packed + "compression = \"gzip\"\ncompression-level = 3\n"}, {packed, packed + "compression = \"gzip\"\n"},
		{packed, packed + "block-size = \"1MiB\"\n"},
	} {
		p, err := w.Plan(strings.Replace(text, change[0], change[1], 1))
		if err != nil {
			t.Fatal(change, err)
		}
		if other, known := seen[p.Seed.String()]; known {
			t.Errorf("%q gives the same seed as %q", change[1], other)
		}
		seen[p.Seed.String()] = change[1]
	}
}

// Every key of the disk and of the partition table changes the identity.
func TestIdentityOfTables(t *testing.T) {
	const text = `
table = "hybrid"
size-multiple = "1MiB"
[[partition]]
name = "boot"
type = "esp"
filesystem = "fat"
mbr-type = "0x0c"
[[partition]]
name = "t"
type = "linux-generic"
filesystem = "none"
size = "1MiB"
`
	w := imagetest.New(t)
	seen := map[string]string{}
	for _, change := range [][2]string{
		{"", ""}, {"multiple = \"1M", "multiple = \"2M"}, {"size-m", "size = \"1GiB\"\nsize-m"}, {"size-m", "entries-offset = \"8KiB\"\nsize-m"},
		{"size-m", "mbr-active = true\nsize-m"}, {"0x0c", "0x0e"}, {"mbr-t", "number = 2\nmbr-t"}, {"mbr-t", "partlabel = \"x\"\nmbr-t"},
		{"mbr-t", "verity = \"t\"\nmbr-t"}, {"mbr-t", "fat = 32\nmbr-t"}, {"mbr-t", "grow = true\nmbr-t"}, {"table = \"hybrid\"", ""},
	} {
		changed := strings.Replace(text, change[0], change[1], 1)
		if !strings.Contains(changed, "table") {
			changed = strings.Replace(changed, "mbr-type = \"0x0c\"\n", "", 1)
		}
		p, err := w.Plan(changed)
		if err != nil {
			t.Fatal(change, err)
		}
		if other, known := seen[p.Seed.String()]; known {
			t.Errorf("%q gives the same seed as %q", change[1], other)
		}
		seen[p.Seed.String()] = change[1]
	}
}
