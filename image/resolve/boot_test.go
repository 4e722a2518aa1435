package resolve_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/tree"
	"imprint/partition"
)

// onlyBoot is an image of nothing but boot files.
const onlyBoot = `
[boot]
loader = "%s"
%s
[[boot.entry]]
title = "one"
kernel = "%s"
cmdline = "%s"
[[boot.entry]]
title = "two"
kernel = "%s"
%s
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
`

// What cannot boot is told where it is named.
func TestBootProblems(t *testing.T) {
	w := imagetest.New(t)
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	w.File("usr/lib/systemd/boot/efi/linuxx64.efi.stub", "MZ")
	w.File("good", imagetest.EFIProgram(imagetest.X86, "a kernel"))
	w.File("arm", imagetest.EFIProgram(imagetest.ARM, "a kernel"))
	w.File("vmlinux", "\x7fELF")
	w.File("Image.gz", "\x1f\x8b\x08")
	w.File("empty", "")
	w.File("registration", "")
	image := func(loader, more, kernel, cmdline, other string) string {
		return fmt.Sprintf(onlyBoot, loader, more, kernel, cmdline, other, "")
	}
	raw := "[[raw]]\noffset = \"64KiB\"\nsource = \"empty\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"arm":           {image("systemd-boot", "", "good", "", "arm"), "boot.entry[1].kernel: " + w.Dir + "/arm is for aarch64, but the image is for x86_64"},
		"arm, extlinux": {image("extlinux", "", "good", "", "arm"), "arm is for aarch64"},
		"ELF":           {image("uki", "", "vmlinux", "", "good"), "boot.entry[0].kernel: " + w.Dir + "/vmlinux is not an EFI program, but with uki"},
		"ELF, extlinux": {image("extlinux", "", "vmlinux", "", "good"), "vmlinux is an ELF file, such as vmlinux, which no boot loader starts"},
		"gzip": {
			image("systemd-boot", "", "Image.gz", "", "good"),
			"boot.entry[0].kernel: " + w.Dir + "/Image.gz is compressed with gzip, which systemd-boot does not unpack\nhint: name one that is not " +
				"compressed, such as the Image beside it, or unpack it (gzip -d)",
		},
		"text as EFI": {image("uki", `efi-binary = "empty"`, "good", "", "good"), "boot.efi-binary: " + w.Dir + "/empty is not an EFI program"},
		"arm as EFI":  {image("uki", `efi-binary = "arm"`, "good", "", "good"), "boot.efi-binary: " + w.Dir + "/arm is for aarch64"},
		"no stub":     {image("uki", `efi-binary = "good"`, "good", "", "good"), "boot.loader: entry \"one\": not a Portable Executable"},
		"too long": {
			image("systemd-boot", `console = ["tty0"]`, "good", strings.Repeat("x", 1530), "good"),
			"boot.entry[0].cmdline: is 1543 bytes long, but a kernel for x86_64 reads 2047, of which the loader needs some",
		},
		"dollar":    {image("extlinux", "", "good", "l=$$x", "good"), "contains a $"},
		"empty raw": {raw + image("systemd-boot", "", "good", "", "good"), "raw[0].source: empty is empty"},
	} {
		if _, err := w.Plan(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", name, err, c.want)
		}
	}
	// A label is what its partition says, and may have what GRUB changes.
	w.File("usr/lib/grub/x86_64-efi/moddep.lst", "")
	text := image("grub", `efi-binary = "good"`, "good", "root=LABEL=${partition.root.label}", "good")
	_, err := w.Plan(text + "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nlabel = \"a'b\"\n")
	if err == nil || !strings.Contains(err.Error(), "boot.entry[0].cmdline: contains a ', which GRUB") || !strings.Contains(err.Error(), "root=LABEL=a'b") {
		t.Errorf("error %v", err)
	}
}

// bootFiles are the files of the first partition below a directory.
func bootFiles(p *plan.Plan, dir string) (files []string) {
	for path, n := range p.Partitions[0].Spec.Tree.Walk() {
		if strings.HasPrefix(path, dir) && n.Kind() == tree.File {
			files = append(files, strings.TrimPrefix(path, dir))
		}
	}
	return files
}

// A kernel that two entries name is there once, and names that differ in case alone do not meet on a FAT volume.
func TestBootFilesAreThereOnce(t *testing.T) {
	w := imagetest.New(t)
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	w.File("Image", imagetest.EFIProgram(imagetest.X86, "one"))
	w.File("registration", "")
	text := fmt.Sprintf(onlyBoot, "systemd-boot", "", "Image", "", "./Image", "")
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	if files := bootFiles(p, "/EFI/imprint/"); len(files) != 1 || !strings.HasSuffix(files[0], "-Image") {
		t.Errorf("files %v", files)
	}
	system := w.Item("system", nil, map[string]string{"Image": "MZ a kernel", "image": "another"})
	initrds := strings.NewReplacer("/a/initrd", "/image", "/b/initrd", "/image")
	p, err = w.Plan(initrds.Replace(fmt.Sprintf(imagetest.KernelOnly, system, "${closure.system}/Image")))
	if err != nil {
		t.Fatal(err)
	}
	if files := bootFiles(p, "/EFI/imprint/"); len(files) != 2 || strings.EqualFold(files[0], files[1]) {
		t.Errorf("files %v", files)
	}
	if _, err := p.Layout(nil); err != nil {
		t.Error(err)
	}
}

// Boot files may be equal to others of their item, which makes them hard links, and may have the same last name.
func TestBootFilesWithTwins(t *testing.T) {
	w := imagetest.New(t)
	system := w.Item("system", nil, map[string]string{
		"bzImage": "MZ kernel", "vmlinuz": "MZ kernel", "a/initrd": "first", "b/initrd": "second",
		"aaa/copy.efi": "EFI", "lib/systemd/boot/efi/systemd-bootx64.efi": "EFI",
	})
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "the host's")
	p, err := w.Plan(fmt.Sprintf(imagetest.KernelOnly, system, "${closure.system}/vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	disk, _, _ := imagetest.Build(t, p, write.Options{})
	if bytes.Contains(disk, []byte("the host's")) {
		t.Error("the loader is the host's, though the closure has one")
	}
	base := filepath.Base(system)
	for _, name := range []string{base + "-vmlinuz", base + "-initrd", base + "-initrd-2"} {
		if p.Partitions[0].Spec.Tree.Find("/EFI/imprint/"+name) == nil {
			t.Errorf("the ESP has no %s", name)
		}
	}
}

// An ESP of no given size has room for its boot files once more, and for what firmware updates put there; the description decides if it
// says anything.
func TestESPHasRoom(t *testing.T) {
	w := imagetest.New(t)
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	w.File("small", imagetest.EFIProgram(imagetest.X86, "a kernel"))
	w.File("large", imagetest.EFIProgram(imagetest.X86, strings.Repeat("kernel", 5<<20)))
	w.File("registration", "")
	for _, c := range []struct {
		kernel, more string
		least, most  int64 // bytes
	}{
		{"small", "", 16 << 20, 17 << 20},
		{"large", "", 30 << 20, 31 << 20},
		{"large", "free = 0", 0, 1 << 20},
		{"large", `free = "1MiB"`, 1 << 20, 2 << 20},
		{"large", `size = "40MiB"`, 9 << 20, 10 << 20},
	} {
		p, err := w.Plan(fmt.Sprintf(onlyBoot, "systemd-boot", "", c.kernel, "", c.kernel, "") + c.more)
		if err != nil {
			t.Fatal(err)
		}
		l, err := p.Layout(nil)
		if err != nil {
			t.Fatal(err)
		}
		if free := partition.StatsOf(l.Regions[0].Maker).FreeBytes; free < c.least || free > c.most {
			t.Errorf("%s, %q: %d bytes are free, want %d to %d", c.kernel, c.more, free, c.least, c.most)
		}
	}
}

// A number in an MBR that is that of another FAT than the one that the size gives brings a warning with the right one.
func TestFATTypesInMBR(t *testing.T) {
	w := imagetest.New(t)
	w.File("registration", "")
	const volume = "table = \"mbr\"\n[[partition]]\nname = \"p\"\ntype = %q\nfilesystem = \"fat\"\nsize = %q\n"
	for _, c := range []struct{ kind, size, want string }{
		{"0x0c", "32MiB", "partition[0].type: 0x0c is the type of a FAT32, but the volume is a FAT16\nhint: write type = \"0x0e\", or choose another size"},
		{"0x0c", "64MiB", ""}, // FAT32, since the type says so
		{"0x06", "1GiB", "0x06 is the type of a FAT16, but the volume is a FAT32\nhint: write type = \"0x0c\""},
		{"0x0b", "4MiB", "0x0b is the type of a FAT32, but the volume is a FAT12\nhint: write type = \"0x01\""},
		{"0x0c", "1GiB", ""}, {"0x0e", "64MiB", ""}, {"0x01", "4MiB", ""}, {"esp", "4MiB", ""}, {"0xef", "64MiB", ""}, {"0x83", "64MiB", ""},
	} {
		p, err := w.Plan(fmt.Sprintf(volume, c.kind, c.size))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Warnings.Error(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s, %s: %q, want %q", c.kind, c.size, got, c.want)
		}
	}
}

const withGRUB = `
[[closure]]
name = "system"
roots = ["%s"]
[boot]
loader = "grub"
[[boot.entry]]
title = "test"
kernel = "${closure.system}/kernel"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
`

// What grub-mkimage reads in a closure is what the closure has there: no link out of it is followed, neither that of a module that only
// another module needs.
func TestModulesOfGRUB(t *testing.T) {
	tools, err := filepath.Abs("../../cmd/imprint/testdata/stand-ins")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	const dir = "lib/grub/x86_64-efi/"
	good := func() map[string]string {
		return map[string]string{
			"kernel": "K", dir + "moddep.lst": "linux: relocator\nnormal: \n", dir + "kernel.img": "kernel", dir + "linux.mod": "linux",
			dir + "relocator.mod": "relocator", dir + "normal.mod": "normal", dir + "unused.mod": "-> /etc/unused",
		}
	}
	for _, c := range []struct{ name, file, content, want string }{
		{"good", "", "", ""},
		{"relative", dir + "linux.mod", "-> normal.mod", ""},
		{"index", dir + "moddep.lst", "-> /etc/moddep.lst", "/" + dir + "moddep.lst: leads to /etc/moddep.lst, outside the store"},
		{"module", dir + "linux.mod", "-> /etc/linux.mod", "/" + dir + "linux.mod: leads to /etc/linux.mod, outside the store"},
		{"needed", dir + "relocator.mod", "-> /etc/relocator.mod", "relocator.mod: leads to /etc/relocator.mod, outside the store"},
		{"image", dir + "kernel.img", "-> ../../../../../../etc/kernel.img", "kernel.img: leads to /etc/kernel.img, outside the store"},
		{"item", dir + "normal.mod", "-> /nix/store/" + strings.Repeat("0", 32) + "-gone/normal.mod", "-gone, which is not in the image"},
	} {
		w := imagetest.New(t)
		files := good()
		if c.file != "" {
			files[c.file] = c.content
		}
		_, err := w.Plan(fmt.Sprintf(withGRUB, w.Item("system", nil, files)))
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) || err != nil && !strings.Contains(got, "boot.loader: /nix/store/") {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
	}
	// The directory is that of the platform, though another one has an equal index, and is the same file in the image.
	w := imagetest.New(t)
	both := good()
	both["lib/grub/i386-pc/moddep.lst"] = both[dir+"moddep.lst"]
	p, err := w.Plan(fmt.Sprintf(withGRUB, w.Item("system", nil, both)))
	if err != nil {
		t.Fatal(err)
	}
	if core := textOf(t, p.Partitions[0].Spec.Tree.Find("/EFI/BOOT/BOOTX64.EFI")); !strings.Contains(core, "x86_64-efi") {
		t.Errorf("a core image of %.40q", core)
	}
	// A link between items of the image is good, but not where the machine would find something else at its end.
	w = imagetest.New(t)
	grub := w.Item("grub", nil, map[string]string{"linux.mod": "linux"})
	files := good()
	files[dir+"linux.mod"] = "-> " + grub + "/linux.mod"
	_, err = w.Plan(fmt.Sprintf(withGRUB, w.Item("system", []string{grub}, files)))
	if err == nil || !strings.Contains(err.Error(), "linux.mod is not what grub-mkimage would read on this machine") {
		t.Errorf("error %v", err)
	}
}
