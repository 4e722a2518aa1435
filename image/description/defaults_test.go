package description

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"imprint/bootloader"
	"imprint/internal/diag"
)

const isoText = `
name = "live cd"
arch = "x86_64"
format = "iso"
[[closure]]
name = "c"
roots = ["/nix/store/x"]
[boot]
loader = "grub"
[[boot.entry]]
title = "x"
kernel = "/k"
[[partition]]
name = "tree"
filesystem = "iso9660"
[[partition]]
name = "root"
filesystem = "erofs"
inside = "tree"
path = "/root.erofs"
closures = ["c"]
[[partition]]
name = "esp"
type = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
filesystem = "fat"
`

const diskText = `
name = "x"
arch = "x86_64"
table = "mbr"
[[closure]]
name = "c"
roots = ["/nix/store/x"]
[boot]
loader = "grub"
timeout = 0
[[boot.entry]]
title = "x"
kernel = "/k"
[[source]]
registration = "r"
[[partition]]
name = "root"
type = "linux-generic"
filesystem = "ext4"
size = "1GiB"
closures = ["c"]
[[partition]]
name = "inner"
filesystem = "squashfs"
inside = "root"
path = "/x"
[[partition]]
name = "boot"
type = "0xea"
filesystem = "fat"
align = "4MiB"
`

func parseText(t *testing.T, text string) *Image {
	t.Helper()
	// These tests are of what validation lets pass, and of names that it does not.
	d, err := Parse("x.toml", []byte(strings.Replace(text, "live cd", "live-cd", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWithDefaults(t *testing.T) {
	type values struct {
		Format, Flavor, Table, Loader, Source, Label, Engine string
		SectorSize, Timeout                                  int64
		CopyKernel, Volatile                                 bool
		Sizes, Aligns                                        []Size
	}
	of := func(d *Image) values {
		v := values{
			Format: d.Format.V, Flavor: d.Store.Flavor.V, Table: d.Table.V, Loader: d.Boot.Loader.V, Source: d.Source.Items[0].Path.V,
			SectorSize: d.SectorSize.V, Timeout: d.Boot.Timeout.V, CopyKernel: d.Boot.CopyKernel.V,
		}
		for _, p := range d.Partition.Items {
			v.Label, v.Engine, v.Volatile = v.Label+p.Label.V, v.Engine+p.Engine.V, v.Volatile || p.Volatile.V
			v.Sizes, v.Aligns = append(v.Sizes, p.Size.V), append(v.Aligns, p.Align.V)
		}
		return v
	}
	auto, grain := Size{Auto: true}, Size{Bytes: 1 << 20}
	for text, want := range map[string]values{
		isoText: {
			Format: "iso", Flavor: "nix", Table: "gpt", Loader: "grub", Source: "/", Label: "LIVE_CD", SectorSize: 512, Timeout: 3, Volatile: true,
			Sizes: []Size{auto, auto, auto}, Aligns: []Size{grain, grain, grain},
		},
		diskText: {
			Format: "raw", Flavor: "nix", Table: "mbr", Loader: "grub", Source: "/", Engine: "native", SectorSize: 512, CopyKernel: true,
			Sizes: []Size{{Bytes: 1 << 30}, auto, auto}, Aligns: []Size{grain, grain, {Bytes: 4 << 20}},
		},
	} {
		d := parseText(t, text)
		before := parseText(t, text)
		full := d.WithDefaults()
		if diff := cmp.Diff(want, of(full)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, d); diff != "" {
			t.Errorf("the description itself was changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(full, full.WithDefaults()); diff != "" {
			t.Errorf("defaults of defaults differ (-once +twice):\n%s", diff)
		}
		written := 0
		visit(full, func(_ string, k diag.Key) {
			if k.Written {
				written++
			}
		})
		visit(d, func(_ string, k diag.Key) {
			if k.Written {
				written--
			}
		})
		if written != 0 {
			t.Errorf("%d more keys are said to be written", written)
		}
	}
}

// A description without a loader has the row of none, and nothing to copy.
func TestDefaultsWithoutLoader(t *testing.T) {
	d := parseText(t, "name = \"x\"\n[[partition]]\nname = \"p\"\ntype = \"var\"\nfilesystem = \"ext4\"\n").WithDefaults()
	if d.Boot.Loader.V != "none" || d.Boot.CopyKernel.V || d.Boot.Timeout.V != 3 {
		t.Errorf("%+v", d.Boot)
	}
	if root := d.Root(); root != nil {
		t.Errorf("the root is %s", root.Name.V)
	}
}

func TestMachine(t *testing.T) {
	for text, want := range map[string]bootloader.Machine{
		isoText: {Arch: "x86_64", Table: "iso", Partitions: []bootloader.Partition{
			{Name: "tree", Number: 1, Type: "iso9660", Filesystem: "iso9660"},
			{Name: "root", Type: "erofs", Filesystem: "erofs", Store: true, Root: true},
			{Name: "esp", Number: 2, Type: "esp", Filesystem: "fat"},
		}},
		diskText: {Arch: "x86_64", Table: "mbr", Partitions: []bootloader.Partition{
			{Name: "root", Number: 1, Type: "linux-generic", Filesystem: "ext4", Store: true, Root: true},
			{Name: "inner", Type: "squashfs", Filesystem: "squashfs"},
			{Name: "boot", Number: 2, Type: "xbootldr", Filesystem: "fat"},
		}},
	} {
		d := parseText(t, text)
		for _, d := range []*Image{d, d.WithDefaults()} {
			if diff := cmp.Diff(want, d.Machine(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if root := d.Root(); root.Name.V != "root" {
			t.Errorf("the root is %s", root.Name.V)
		}
	}
	volatile := strings.Replace(diskText, "filesystem = \"squashfs\"", "filesystem = \"squashfs\"\nvolatile = false", 1)
	if root := parseText(t, volatile).Root(); root.Name.V != "inner" {
		t.Errorf("the root is %s, and volatile is a key of the other", root.Name.V)
	}
	bare := isoText[:strings.Index(isoText, "[[partition]]\nname = \"root\"")] + isoText[strings.Index(isoText, "[[partition]]\nname = \"esp\""):]
	bare = bare[:strings.Index(bare, "[[closure]]")] + bare[strings.Index(bare, "[boot]"):]
	if root := parseText(t, bare).Root(); root.Name.V != "tree" {
		t.Errorf("the root is %s, and an ISO without a store has its tree", root.Name.V)
	}
}

func TestExamplesWithDefaults(t *testing.T) {
	examples, _ := filepath.Glob("../../configs/*.toml")
	if len(examples) < 15 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, name := range examples {
		d := parseFile(t, name).WithDefaults()
		if d.Root() == nil || len(d.Machine().Partitions) != len(d.Partition.Items) {
			t.Errorf("%s has no root, or the machine other partitions", name)
		}
	}
}
