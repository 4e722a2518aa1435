package disk

import (
	"slices"
	"strings"
	"testing"

	"imprint/internal/chain"
	"imprint/internal/fault"
	"imprint/internal/tree"
	"imprint/partition"
)

// regionOf is a region with a file system of that name, with files by path: a text, or "-> target".
func regionOf(t *testing.T, filesystem string, files map[string]string) *Region {
	t.Helper()
	attr := &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(attr)
	for path, text := range files {
		n := tree.NewFile("", attr, tree.Text(text))
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			n = tree.NewSymlink("", attr, target)
		}
		if err := b.Add(path, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return &Region{Volume: &partition.Volume{Filesystem: partition.Named(filesystem), Tree: tr}}
}

// An entry whose kernel, initrd or device tree is not where its loader would look is a fault, and so is one whose command line names a store
// item that is not there; others are none.
func TestMenus(t *testing.T) {
	const there, gone = "/nix/store/0000000000000000000000000000000a-system", "/nix/store/0000000000000000000000000000000b-system"
	esp := regionOf(t, "fat", map[string]string{
		"/loader/entries/a.conf": "title A\nlinux /EFI/LINUX/Kernel\ninitrd \\EFI\\linux\\initrd\n",
		"/loader/entries/b.conf": "title B\nlinux /boot/kernel\ndevicetree /none.dtb\n",
		"/EFI/Linux/kernel":      "", "/EFI/Linux/initrd": "",
		"/loader/entries/c.conf": "title C\nlinux /efi/linux/kernel\noptions init=" + there + "/init quiet\n",
		"/loader/entries/d.conf": "title D\nlinux /efi/linux/kernel\noptions init=" + gone + "/init quiet\n",
	})
	root := regionOf(t, "ext4", map[string]string{
		"/boot/grub/grub.cfg": "menuentry One { linux /vmlinuz\ninitrd ($root)/initrd /efi/linux/kernel\n}\nmenuentry Two { linux $k\n initrd /EFI/Linux/initrd }\n" +
			"menuentry Loop { linux /loop }\n",
		"/extlinux/extlinux.conf": "label x\nkernel ../boot/kernel\nappend initrd=missing\nlabel menu\nkernel menu.c32\n",
		there + "/init":           "", "/vmlinuz": "-> boot/current/kernel", "/boot/current": "-> /boot", "/boot/kernel": "", "/initrd": "-> nowhere", "/loop": "-> /loop",
	})
	d := &Disk{Regions: []*Region{esp, {Type: "bios-boot"}, root}}
	var got []string
	for _, r := range []*Region{esp, root} {
		d.menus(r, func(f fault.Fault) { got = append(got, f.String()) })
	}
	want := []string{
		`"/loader/entries/b.conf": boot entry: "B": there is no "/boot/kernel"`,
		`"/loader/entries/b.conf": boot entry: "B": there is no "/none.dtb"`,
		`"/loader/entries/d.conf": boot entry: "D": there is no ` + gone,
		`"/boot/grub/grub.cfg": boot entry: "One": there is no "/initrd"`,
		`"/boot/grub/grub.cfg": boot entry: "Loop": there is no "/loop"`,
		`"/extlinux/extlinux.conf": boot entry: "x": there is no "missing"`,
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	d.Regions = append(d.Regions, &Region{}) // which may have them
	got = nil
	d.menus(root, func(f fault.Fault) { got = append(got, f.String()) })
	if got != nil {
		t.Errorf("beside what cannot be read: %q", got)
	}
}

// What a menu is called has the title of its entry, and one that names an item twice is one root.
func TestBootEntries(t *testing.T) {
	const item, other = "/nix/store/0000000000000000000000000000000a-system", "/nix/store/0000000000000000000000000000000b-kernel"
	root := regionOf(t, "ext4", map[string]string{
		"/boot/grub/grub.cfg": "# " + item + "-dev\nmenuentry \"A\tB\" { linux " + other + "/bzImage init=" + item + "/init\ninitrd " + item + "/initrd\n}\n",
	})
	g := &chain.Graph{References: map[string][]string{item: nil, item + "-dev": nil}}
	roots := Named{Region: `"root"`, Tree: root.Volume.Tree}.BootEntries(g)
	if want := (chain.Root{Name: `boot entry "A\tB" in "root":/boot/grub/grub.cfg`, Node: item}); len(roots) != 1 || roots[0] != want {
		t.Errorf("roots %q", roots)
	}
}
