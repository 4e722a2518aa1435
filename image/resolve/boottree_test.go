package resolve_test

import (
	"archive/tar"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/internal/tree"
)

// An archive with a kernel that UEFI can start, its initrd, a device tree and a boot loader.
func debian(t *testing.T, more ...tar.Header) imagetest.World {
	w := imagetest.New(t)
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	dir := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
	w.File("a.tar", imagetest.Tar(t, append([]tar.Header{dir("MZ"), file("MZ/vmlinuz-6.1"), dir("boot"), file("boot/initrd.img-6.1"), dir("dtbs"), file("dtbs/board.dtb"),
		dir("usr"), dir("usr/lib"), file("usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
		{Typeflag: tar.TypeSymlink, Name: "vmlinuz", Linkname: "MZ/vmlinuz-6.1"}, {Typeflag: tar.TypeSymlink, Name: "dtbs/same.dtb", Linkname: "board.dtb"}}, more...)...))
	w.File("efi", "MZ an EFI program")
	return w
}

const inTree = `
[boot]
loader = "systemd-boot"
efi-binary = "efi"
[[boot.entry]]
title = "one"
kernel = "${partition.root}/vmlinuz"
initrd = ["${partition.root}/boot/initrd.img-*"]
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "1MiB"
[[partition.tree]]
source = "a.tar"
`

// Firmware reads only the ESP, so kernel and initrd are copied there, with names that differ when their contents do.
func TestBootFilesInTree(t *testing.T) {
	p, err := debian(t).Plan(inTree)
	if err != nil {
		t.Fatal(err)
	}
	e := p.Entries[0]
	if e.Kernel.Path != "/MZ/vmlinuz-6.1" || e.Kernel.Partition != "root" || !strings.HasSuffix(e.Kernel.Name, "-vmlinuz-6.1") || len(e.Kernel.Name) != 32+len("-vmlinuz-6.1") {
		t.Errorf("the kernel is %+v", e.Kernel)
	}
	for _, src := range []string{e.Kernel.Name, e.Initrd[0].Name} {
		if n := p.Find("esp").Spec.Tree.Find("/EFI/imprint/" + src); n == nil {
			t.Errorf("%s is not on the ESP", src)
		}
	}
	same := p.Find("root").Spec.Tree.Find("/MZ/vmlinuz-6.1").Blob()
	if same != e.Kernel.Content {
		t.Error("the kernel on the ESP is another content than that in the root, and would be read twice")
	}
}

// extlinux reads the root file system: nothing is copied.
func TestBootFilesInPlace(t *testing.T) {
	text := strings.Replace(strings.Replace(inTree, "systemd-boot", "extlinux", 1), "efi-binary = \"efi\"\n", "", 1)
	text = strings.Replace(text, "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nfilesystem = \"fat\"\n", "", 1)
	text = strings.Replace(text, "title = \"one\"\n", "title = \"one\"\ndevicetree = \"${partition.root}/dtbs\"\n", 1)
	p, err := debian(t).Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	menu, err := tree.ReadAll(p.Find("root").Spec.Tree.Find("/boot/extlinux/extlinux.conf").Blob(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"LINUX /MZ/vmlinuz-6.1\n", "INITRD /boot/initrd.img-6.1\n", "FDTDIR /dtbs\n"} {
		if !strings.Contains(string(menu), want) {
			t.Errorf("%s\nlacks %s", menu, want)
		}
	}
	if d := p.Entries[0].DeviceTree; len(d.Files) != 2 {
		t.Errorf("device trees are %+v", d)
	}
}

func TestBootFileMistakes(t *testing.T) {
	w := debian(t, tar.Header{Typeflag: tar.TypeReg, Name: "MZ/vmlinuz-6.2", Mode: 0o644})
	for kernel, want := range map[string]string{
		"/MZ/vmlinuz-*":      `"/MZ/vmlinuz-*" matches 2 files: /MZ/vmlinuz-6.1, /MZ/vmlinuz-6.2` + "\nhint: write a pattern that matches one of them",
		"/boot/vmlinuz-*":    `"/boot/vmlinuz-*" matches no file in the tree` + "\nhint: in /boot there is initrd.img-6.1",
		"/bot/vmlinuz":       `did you mean "/boot"?`,
		"/boot/initrd.img-*": "/boot/initrd.img-6.1 is not an EFI program, but with systemd-boot the firmware starts it",
		"/boot":              `"/boot" matches no file in the tree`,
		"/late":              "/late contains an identifier, which is chosen only after boot files are found",
	} {
		text := strings.Replace(inTree, "}/vmlinuz", "}"+kernel, 1) + "[[partition.file]]\npath = \"/late\"\ntext = \"MZ ${disk.guid}\"\n"
		if _, err := w.Plan(text); err == nil || !strings.Contains(err.Error(), "boot.entry[0].kernel: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nlacks %s", kernel, err, want)
		}
	}
}

// Without efi-binary the loader of the image's own tree is taken, before that of this machine.
func TestLoaderInTree(t *testing.T) {
	w := debian(t)
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ of the host")
	p, err := w.Plan(strings.Replace(inTree, "efi-binary = \"efi\"\n", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	n := p.Find("esp").Spec.Tree.Find("/EFI/BOOT/BOOTX64.EFI")
	if text, err := tree.ReadAll(n.Blob(), 1<<20); err != nil || string(text) != "usr/lib/systemd/boot/efi/systemd-bootx64.efi" {
		t.Errorf("the loader is %q, %v", text, err)
	}
}

const withTable = `
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "swap"
type = "swap"
filesystem = "none"
size = "1MiB"
flags = ["no-auto"]
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "ext4"
mount = "/srv/data"
[[partition]]
name = "usr"
type = "usr"
filesystem = "erofs"
[[partition]]
name = "other"
type = "linux-generic"
filesystem = "ext4"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
fstab = true
`

func TestFStab(t *testing.T) {
	w := imagetest.New(t)
	w.File("etc/fstab", "# nothing yet\n")
	w.File("own/fstab", "/dev/sda1 / ext4 defaults 0 1\n")
	p, err := w.Plan(withTable + "[[partition.tree]]\nsource = \"etc\"\ntarget = \"/etc\"\n")
	if err != nil {
		t.Fatal(err)
	}
	root := p.Find("root").Spec.Tree
	text, err := tree.ReadAll(root.Find("/etc/fstab").Blob(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	id := func(name string) string { return "PARTUUID=" + p.Find(name).PartUUIDText() }
	want := "# <source> <mount point> <type> <options> <dump> <pass>\n" +
		id("root") + " / ext4 errors=remount-ro 0 1\n" + id("esp") + " /efi vfat umask=0077 0 2\n" +
		id("data") + " /srv/data ext4 errors=remount-ro 0 2\n" + id("usr") + " /usr erofs ro 0 0\n" + id("swap") + " none swap sw 0 0\n"
	if string(text) != want {
		t.Errorf("the table is\n%s\nand not\n%s", text, want)
	}
	for _, dir := range []string{"/efi", "/srv/data", "/usr"} {
		if n := root.Find(dir); n == nil || n.Kind() != tree.Dir {
			t.Errorf("there is no directory %s", dir)
		}
	}
	_, err = w.Plan(withTable + "[[partition.tree]]\nsource = \"own\"\ntarget = \"/etc\"\n")
	if err == nil || !strings.Contains(err.Error(), "partition[5].fstab: the tree has /etc/fstab already, with entries\nhint: add exclude = [\"/etc/fstab\"]") {
		t.Error(err)
	}
}
