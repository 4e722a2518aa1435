package resolve_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/write"
	"imprint/internal/tree"
)

const apart = `
[[closure]]
name = "system"
roots = ["%s"]
profile = "system"
[boot]
loader = "%s"
[[boot.entry]]
title = "a"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
[[partition]]
name = "store"
type = "linux-generic"
filesystem = "ext4"
closures = ["system"]
mount = "/nix"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
fstab = true
`

// A store on a partition of its own has no /nix in it, is whole, and has its place in the root file system.
func TestStoreApart(t *testing.T) {
	w, system := imagetest.Boot(t)
	p, err := w.Plan(fmt.Sprintf(apart, system, "systemd-boot"))
	if err != nil {
		t.Fatal(err)
	}
	image, _, _ := imagetest.Build(t, p, write.Options{})
	d, err := disk.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(t.Context(), func(f disk.Fault) { t.Error(f) }); err != nil {
		t.Error(err)
	}
	store, root := d.Regions[1], d.Regions[2]
	for _, name := range []string{"/store/" + strings.TrimPrefix(system, "/nix/store/"), "/var/nix/db/db.sqlite", "/var/nix/profiles/system-1-link"} {
		if store.Volume.Tree.Find(name) == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if store.Volume.Tree.Find("/nix") != nil {
		t.Error("the store has its mount point in it")
	}
	stores, err := store.Stores(t.Context())
	if err != nil || len(stores) != 1 {
		t.Fatal(stores, err)
	}
	defer stores[0].Close()
	g, err := stores[0].Graph(t.Context())
	if err != nil || len(g.References) == 0 || len(g.Roots) == 0 || !strings.HasPrefix(g.Roots[0].Name, "/nix/var/nix/") {
		t.Errorf("the graph is %+v, %v", g, err)
	}
	if n := root.Volume.Tree.Find("/nix"); n == nil || n.Kind() != tree.Dir || len(n.Children()) > 0 {
		t.Error("there is no empty directory to mount the store")
	}
	table, err := tree.ReadAll(root.Volume.Tree.Find("/etc/fstab").Blob(), 1000)
	if want := " /nix ext4 errors=remount-ro,x-initrd.mount 0 2\n"; err != nil || !strings.Contains(string(table), want) {
		t.Errorf("fstab has no %q: %s, %v", want, table, err)
	}
	if part := p.Find("root"); strings.Contains(p.Entries[0].Cmdline, p.Find("store").PartUUIDText()) || part == nil {
		t.Error("the store is taken for the root file system")
	}
	esp := d.Regions[0].Volume.Tree
	if n := esp.Find("/EFI"); n == nil || esp.Find("/loader") == nil {
		t.Error("the kernel is not on the ESP")
	}
}

func TestStoreApartRefuses(t *testing.T) {
	w, system := imagetest.Boot(t)
	for _, c := range [][3]string{
		{"[[closure]]", "[store]\nflavor = \"guix\"\n[[closure]]", "is \"/nix\", but a store of this flavor is in /gnu/store and its state in /var/guix"},
		{`"/nix"`, `"/store"`, `partition[1].mount: is "/store", but the partition has closures, and the store is in /nix`},
		{`loader = "`, "copy-kernel = false\nloader = \"grub\" # ", "grub cannot read the file system of the store"},
		{"mount = \"/nix\"", "mount = \"/nix\"\ndir = [{ path = \"/store\" }]", "/store is the store, whose mode and owner are fixed"},
	} {
		_, err := w.Plan(strings.Replace(fmt.Sprintf(apart, system, "systemd-boot"), c[0], c[1], 1))
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("error %v, want %s", err, c[2])
		}
	}
}
