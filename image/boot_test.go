package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// efiProgram is the beginning of an EFI program for a machine (PE, "Machine Types").
func efiProgram(machine, rest string) string {
	return "MZ" + strings.Repeat("\x00", 0x3a) + "\x40\x00\x00\x00PE\x00\x00" + machine + rest
}

const (
	forX86 = "\x64\x86"
	forARM = "\x64\xaa"
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
	w := newWorld(t)
	w.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	w.file("usr/lib/systemd/boot/efi/linuxx64.efi.stub", "MZ")
	w.file("good", efiProgram(forX86, "a kernel"))
	w.file("arm", efiProgram(forARM, "a kernel"))
	w.file("vmlinux", "\x7fELF")
	w.file("empty", "")
	w.file("registration", "")
	image := func(loader, more, kernel, cmdline, other string) string {
		return fmt.Sprintf(onlyBoot, loader, more, kernel, cmdline, other, "")
	}
	raw := "[[raw]]\noffset = \"64KiB\"\nsource = \"empty\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"arm":           {image("systemd-boot", "", "good", "", "arm"), "boot.entry[1].kernel: " + w.dir + "/arm is for aarch64, and the image for x86_64"},
		"arm, extlinux": {image("extlinux", "", "good", "", "arm"), "arm is for aarch64"},
		"ELF":           {image("uki", "", "vmlinux", "", "good"), "boot.entry[0].kernel: " + w.dir + "/vmlinux is no EFI program, and uki has"},
		"text as EFI":   {image("uki", `efi-binary = "empty"`, "good", "", "good"), "boot.efi-binary: " + w.dir + "/empty is no EFI program"},
		"arm as EFI":    {image("uki", `efi-binary = "arm"`, "good", "", "good"), "boot.efi-binary: " + w.dir + "/arm is for aarch64"},
		"no stub":       {image("uki", `efi-binary = "good"`, "good", "", "good"), "boot.loader: entry \"one\": not a Portable Executable"},
		"too long": {
			image("systemd-boot", `console = ["tty0"]`, "good", strings.Repeat("x", 1530), "good"),
			"boot.entry[0].cmdline: is 1543 bytes long, and a kernel for x86_64 reads 2047 with what the loader adds",
		},
		"dollar":    {image("extlinux", "", "good", "l=$$x", "good"), "has a $ in it"},
		"empty raw": {raw + image("systemd-boot", "", "good", "", "good"), "raw[0].source: empty is empty"},
	} {
		if _, err := w.plan(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", name, err, c.want)
		}
	}
	// A label is what its partition says, and may have what GRUB changes.
	w.file("usr/lib/grub/x86_64-efi/moddep.lst", "")
	text := image("grub", `efi-binary = "good"`, "good", "root=LABEL=${partition.root.label}", "good")
	_, err := w.plan(text + "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nlabel = \"a'b\"\n")
	if err == nil || !strings.Contains(err.Error(), "boot.entry[0].cmdline: has a ' in it, which GRUB") || !strings.Contains(err.Error(), "root=LABEL=a'b") {
		t.Errorf("error %v", err)
	}
}

// bootFiles are the files of the first partition below a directory.
func bootFiles(p *Plan, dir string) (files []string) {
	for path, n := range p.Partitions[0].Spec.Tree.Walk() {
		if strings.HasPrefix(path, dir) && n.Kind() == tree.File {
			files = append(files, strings.TrimPrefix(path, dir))
		}
	}
	return files
}

// A kernel that two entries name is there once, and names that differ in case alone do not meet on a FAT volume.
func TestBootFilesAreThereOnce(t *testing.T) {
	w := newWorld(t)
	w.file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	w.file("Image", efiProgram(forX86, "one"))
	w.file("registration", "")
	text := fmt.Sprintf(onlyBoot, "systemd-boot", "", "Image", "", "./Image", "")
	p, err := w.plan(text)
	if err != nil {
		t.Fatal(err)
	}
	if files := bootFiles(p, "/EFI/imprint/"); len(files) != 1 || !strings.HasSuffix(files[0], "-Image") {
		t.Errorf("files %v", files)
	}
	system := w.item("system", nil, map[string]string{"Image": "MZ a kernel", "image": "another"})
	initrds := strings.NewReplacer("/a/initrd", "/image", "/b/initrd", "/image")
	p, err = w.plan(initrds.Replace(fmt.Sprintf(kernelOnly, system, "${closure.system}/Image")))
	if err != nil {
		t.Fatal(err)
	}
	if files := bootFiles(p, "/EFI/imprint/"); len(files) != 2 || strings.EqualFold(files[0], files[1]) {
		t.Errorf("files %v", files)
	}
	if _, err := p.Layout(); err != nil {
		t.Error(err)
	}
}

// What all entries have comes before "--", behind which the kernel hands everything to init.
func TestConsoleBeforeInit(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "console=ttyS0",
		" quiet  a=b ":      "quiet  a=b console=ttyS0",
		"a -- single":       "a console=ttyS0 -- single",
		"-- single -- x":    "console=ttyS0 -- single -- x",
		"a --":              "a console=ttyS0 --",
		"a--b --c d-- x":    "a--b --c d-- x console=ttyS0",
		"--":                "console=ttyS0 --",
		"$$x --  two":       "$x console=ttyS0 --  two",
		"panic=-1 quiet --": "panic=-1 quiet console=ttyS0 --",
	} {
		r := &resolver{d: &Description{Boot: BootDescription{Console: []string{"ttyS0"}}}}
		if got := r.cmdline(Template(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

const withDeviceTree = `
[[closure]]
name = "system"
roots = ["%s"]
[boot]
loader = "extlinux"
[[boot.entry]]
title = "dir"
kernel = "${closure.system}/kernel"
devicetree = "%s"
[[boot.entry]]
title = "file"
kernel = "${closure.system}/kernel"
devicetree = "%s"
[[partition]]
name = "boot"
type = "%s"
filesystem = "%s"
%s
`

// Device trees lie where kernels do: copied to the menu's partition, or in the store.
func TestDeviceTree(t *testing.T) {
	w := newWorld(t)
	dtbs := w.item("dtbs", nil, map[string]string{"v/b.dtb": "of the board", "link.dtb": "-> v/b.dtb", "other.dtb": "of another"})
	system := w.item("system", []string{dtbs}, map[string]string{"kernel": "K", "dtbs": "-> " + dtbs})
	w.file("host/v/h.dtb", "of the host")
	root := "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"system\"]\n"
	base := filepath.Base(dtbs)

	p, err := w.plan(fmt.Sprintf(withDeviceTree, system, "${closure.system}/dtbs", "${closure.system}/dtbs/v/b.dtb", "xbootldr", "fat", root))
	if err != nil {
		t.Fatal(err)
	}
	menu := textOf(t, p.Partitions[0].Spec.Tree.Find("/extlinux/extlinux.conf"))
	dir := "/extlinux/" + base + "-" + base
	if !strings.Contains(menu, "  FDTDIR "+dir+"\n") || !strings.Contains(menu, "  FDT /extlinux/"+base+"-b.dtb\n") {
		t.Errorf("menu:\n%s", menu)
	}
	if files := bootFiles(p, dir); !slices.Equal(files, []string{"/link.dtb", "/other.dtb", "/v/b.dtb"}) {
		t.Errorf("files %q", files)
	}
	for _, id := range []string{"dir", "file"} {
		if n := p.Partitions[1].Spec.Tree.Find("/nix/var/nix/gcroots/imprint/boot-" + id + "-devicetree"); n == nil || n.Target() != dtbs {
			t.Errorf("no GC root for the device tree of %s", id)
		}
	}

	p, err = w.plan(fmt.Sprintf(withDeviceTree, system, "${closure.system}/dtbs", "host/v/h.dtb", "root", "ext4", `closures = ["system"]`))
	if err != nil {
		t.Fatal(err)
	}
	menu = textOf(t, p.Partitions[0].Spec.Tree.Find("/extlinux/extlinux.conf"))
	if !strings.Contains(menu, "  FDTDIR "+dtbs+"\n") || !strings.Contains(menu, "  FDT /extlinux/") || !strings.Contains(menu, "-h.dtb\n") {
		t.Errorf("menu:\n%s", menu)
	}

	seeds := map[string]bool{}
	for _, content := range []string{"of the host", "changed", "of the host"} {
		w.file("host/v/h.dtb", content)
		p, err = w.plan(fmt.Sprintf(withDeviceTree, system, "host", "host/v/h.dtb", "root", "ext4", `closures = ["system"]`))
		if err != nil {
			t.Fatal(err)
		}
		seeds[p.Seed.String()] = true
	}
	if files := bootFiles(p, "/extlinux/"); len(seeds) != 2 || len(files) != 3 {
		t.Errorf("%d seeds, files %q", len(seeds), files)
	}
	p, err = w.plan(fmt.Sprintf(withDeviceTree, system, "host", "./host", "root", "ext4", `closures = ["system"]`))
	if err != nil {
		t.Fatal(err)
	}
	if files := bootFiles(p, "/extlinux/"); len(files) != 2 {
		t.Errorf("files of one directory that two entries name: %q", files)
	}
	if err := os.Symlink("h.dtb", w.dir+"/host/v/link"); err != nil {
		t.Fatal(err)
	}
	_, err = w.plan(fmt.Sprintf(withDeviceTree, system, "host", "${closure.system}/none", "root", "ext4", `closures = ["system"]`))
	for _, want := range []string{"boot.entry[0].devicetree: host/v/link is a symlink", "boot.entry[1].devicetree: " + system + "/none: there is no"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func textOf(t *testing.T, n *tree.Node) string {
	t.Helper()
	r, err := n.Blob().Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := make([]byte, n.Blob().Size())
	if _, err := r.ReadAt(text, 0); err != nil && len(text) == 0 {
		t.Fatal(err)
	}
	return string(text)
}

// A host file that only a host tool puts on the disk is compared with what it was, too.
func TestChangeOnHostMadePartition(t *testing.T) {
	hosttest.Need(t, "syslinux", "mtools")
	w, system := bootWorld(t)
	w.file("usr/lib/SYSLINUX/mbr.bin", strings.Repeat("m", 440))
	w.file("usr/lib/syslinux/modules/bios/menu.c32", "menu")
	w.file("usr/lib/syslinux/modules/bios/libutil.c32", "library")
	p, err := w.plan(onMBR(system, "syslinux"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Layout()
	if err != nil {
		t.Fatal(err)
	}
	w.file("extra.img", "an INITRD of the host")
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = p.Write(context.Background(), f, l, WriteOptions{})
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("Write gave %v", err)
	}
}
