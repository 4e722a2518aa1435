package resolve_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/image/imagetest"
	"imprint/internal/tree"
)

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
	w := imagetest.New(t)
	dtbs := w.Item("dtbs", nil, map[string]string{"v/b.dtb": "of the board", "link.dtb": "-> v/b.dtb", "other.dtb": "of another"})
	system := w.Item("system", []string{dtbs}, map[string]string{"kernel": "K", "dtbs": "-> " + dtbs})
	w.File("host/v/h.dtb", "of the host")
	root := "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"system\"]\n"
	base := filepath.Base(dtbs)

	p, err := w.Plan(fmt.Sprintf(withDeviceTree, system, "${closure.system}/dtbs", "${closure.system}/dtbs/v/b.dtb", "xbootldr", "fat", root))
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

	p, err = w.Plan(fmt.Sprintf(withDeviceTree, system, "${closure.system}/dtbs", "host/v/h.dtb", "root", "ext4", `closures = ["system"]`))
	if err != nil {
		t.Fatal(err)
	}
	menu = textOf(t, p.Partitions[0].Spec.Tree.Find("/extlinux/extlinux.conf"))
	if !strings.Contains(menu, "  FDTDIR "+dtbs+"\n") || !strings.Contains(menu, "  FDT /extlinux/") || !strings.Contains(menu, "-h.dtb\n") {
		t.Errorf("menu:\n%s", menu)
	}

	seeds := map[string]bool{}
	for _, content := range []string{"of the host", "changed", "of the host"} {
		w.File("host/v/h.dtb", content)
		p, err = w.Plan(fmt.Sprintf(withDeviceTree, system, "host", "host/v/h.dtb", "root", "ext4", `closures = ["system"]`))
		if err != nil {
			t.Fatal(err)
		}
		seeds[p.Seed.String()] = true
	}
	if files := bootFiles(p, "/extlinux/"); len(seeds) != 2 || len(files) != 3 {
		t.Errorf("%d seeds, files %q", len(seeds), files)
	}
	p, err = w.Plan(fmt.Sprintf(withDeviceTree, system, "host", "./host", "root", "ext4", `closures = ["system"]`))
	if err != nil {
		t.Fatal(err)
	}
	if files := bootFiles(p, "/extlinux/"); len(files) != 2 {
		t.Errorf("files of one directory that two entries name: %q", files)
	}
	if err := os.Symlink("h.dtb", w.Dir+"/host/v/link"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Plan(fmt.Sprintf(withDeviceTree, system, "host", "${closure.system}/none", "root", "ext4", `closures = ["system"]`))
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

// systemd-boot passes on a file, but picks none from a directory.
func TestDeviceTreeOfSystemdBoot(t *testing.T) {
	w := imagetest.New(t)
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ")
	system := w.Item("system", nil, map[string]string{"kernel": imagetest.EFIProgram(imagetest.X86, "K"), "dtbs/b.dtb": "of the board"})
	more := "[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nfree = \"1MiB\"\nclosures = [\"system\"]\n"
	text := func(first string) string {
		text := fmt.Sprintf(withDeviceTree, system, first, "${closure.system}/dtbs/b.dtb", "esp", "fat", more)
		return strings.Replace(text, "extlinux", "systemd-boot", 1)
	}
	_, err := w.Plan(text("${closure.system}/dtbs"))
	if err == nil || !strings.Contains(err.Error(), "boot.entry[0].devicetree: is a directory, but systemd-boot takes a file") {
		t.Errorf("error %v", err)
	}
	p, err := w.Plan(text("${closure.system}/dtbs/b.dtb"))
	if err != nil {
		t.Fatal(err)
	}
	entry, _ := tree.ReadAll(p.Find("boot").Spec.Tree.Find("/loader/entries/file.conf").Blob(), 1<<10)
	if !strings.Contains(string(entry), "\ndevicetree /EFI/imprint/") {
		t.Errorf("the entry is\n%s", entry)
	}
}
