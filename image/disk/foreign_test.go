package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition"
)

// openFile opens an image of another tool.
func openFile(t *testing.T, path string) *Disk {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// faultsOf are the faults of an image.
func faultsOf(t *testing.T, d *Disk) (list []string) {
	t.Helper()
	if err := d.Verify(t.Context(), func(f Fault) { list = append(list, f.String()) }); err != nil {
		t.Fatal(err)
	}
	return list
}

// content is what a file of a region holds.
func content(t *testing.T, r *Region, path string) string {
	t.Helper()
	if r.Volume == nil {
		t.Fatalf("%v is not read: %v", r, r.Err)
	}
	n := r.Volume.Tree.Find(path)
	if n == nil {
		t.Fatalf("%v has no %s", r, path)
	}
	b, err := tree.ReadAll(n.Inode().Blob(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A builder makes the parts of an image in a directory with the tools of the host.
type builder struct {
	t   *testing.T
	dir string
}

func (b builder) path(name string) string { return filepath.Join(b.dir, name) }

func (b builder) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// system makes a directory shaped as a system with a store, and an ESP, as their tools do.
func (b builder) system(storeDir, database string) {
	b.t.Helper()
	for i := range 40 {
		item := fmt.Sprintf("root%s/%032d-item-%d", storeDir, i, i)
		b.write(item+"/bin/program", strings.Repeat(fmt.Sprint(i), 5000))
		b.write(item+"/share/doc", "text")
	}
	b.write("root/etc/hostname", "foreign\n")
	b.write("root"+database, "no database that is read")
	if err := os.Symlink("../etc/hostname", b.path("root/link")); err != nil {
		b.t.Fatal(err)
	}
	hosttest.Run(b.t, "mkfs.fat", "-C", "-F", "16", "-n", "ESP", b.path("esp.img"), "32768")
	b.write("loader.conf", "timeout 3\n")
	hosttest.Run(b.t, "mmd", "-i", b.path("esp.img"), "::/loader", "::/EFI")
	hosttest.Run(b.t, "mcopy", "-i", b.path("esp.img"), b.path("loader.conf"), "::/loader/loader.conf")
}

// put copies an image into a disk at an offset.
func (b builder) put(disk, image string, offset int64) {
	b.t.Helper()
	hosttest.Run(b.t, "dd", "if="+b.path(image), "of="+b.path(disk), "bs=1M", "conv=notrunc", fmt.Sprintf("seek=%d", offset>>20))
}

// check checks that a region is what the builder put there.
func (b builder) check(r *Region, filesystem, storeDir string) {
	b.t.Helper()
	if r.Kind != filesystem || content(b.t, r, "/etc/hostname") != "foreign\n" || r.Volume.Tree.Find("/link").Target() != "../etc/hostname" {
		b.t.Errorf("%v: %s, %v", r, r.Kind, r.Err)
	}
	if got := content(b.t, r, fmt.Sprintf("%s/%032d-item-7/bin/program", storeDir, 7)); got != strings.Repeat("7", 5000) {
		b.t.Errorf("a program of %d bytes", len(got))
	}
}

func (b builder) checkESP(r *Region) {
	b.t.Helper()
	if r.Kind != "fat" || content(b.t, r, "/loader/loader.conf") != "timeout 3\n" {
		b.t.Errorf("%v: %s, %v", r, r.Kind, r.Err)
	}
}

func (b builder) faultless(d *Disk) {
	b.t.Helper()
	if list := faultsOf(b.t, d); list != nil {
		b.t.Errorf("faults: %.3000s", strings.Join(list, "\n"))
	}
}

// genimage assembles a GPT, as Buildroot and others do.
func TestGenimage(t *testing.T) {
	hosttest.Need(t, "genimage", "mke2fs", "mkfs.fat", "mmd", "mcopy")
	b := builder{t, t.TempDir()}
	b.system("/opt", "/var/lib/x")
	hosttest.Run(t, "mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", b.path("root"), b.path("root.img"), "40M")
	b.write("genimage.cfg", `image disk.raw {
	hdimage { partition-table-type = "gpt" }
	partition ESP { partition-type-uuid = "U" image = "esp.img" offset = "1M" bootable = "true" }
	partition root { partition-type-uuid = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" image = "root.img" offset = "64M" }
}
`)
	if err := os.Mkdir(b.path("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "genimage", "--config", b.path("genimage.cfg"), "--rootpath", b.path("empty"), "--tmppath", b.path("tmp"), "--inputpath", b.dir, "--outputpath", b.dir)
	d := openFile(t, b.path("disk.raw"))
	if d.Table != partition.GPT || len(d.Regions) != 2 || d.Regions[1].Name != "root" || d.Regions[1].Type != "root-x86-64" {
		t.Fatalf("%+v", d.Regions)
	}
	b.checkESP(d.Regions[0])
	b.check(d.Regions[1], "ext4", "/opt")
	b.faultless(d)
}

// systemd-repart formats and fills partitions without loop devices; mkosi's disks are made by it, too.
func TestSystemdRepart(t *testing.T) {
	hosttest.Need(t, "systemd-repart", "mkfs.ext4", "mkfs.fat", "mmd", "mcopy")
	b := builder{t, t.TempDir()}
	b.system("/usr/lib", "/var/lib/x")
	b.write("repart.d/10-esp.conf", "[Partition]\nType=esp\nLabel=esp\nCopyBlocks="+b.path("esp.img")+"\n")
	b.write("repart.d/20-root.conf", "[Partition]\nType=root\nLabel=system\nFormat=ext4\nCopyFiles="+b.path("root")+":/\nSizeMinBytes=48M\nSizeMaxBytes=48M\n")
	b.write("repart.d/30-home.conf", "[Partition]\nType=home\nFormat=ext4\nSizeMinBytes=16M\nSizeMaxBytes=16M\n")
	hosttest.Run(t, "systemd-repart", "--definitions="+b.path("repart.d"), "--empty=create", "--size=auto", "--dry-run=no",
		"--seed=0d9c2b71-53aa-4c55-8f0e-91b7a6c3d2e4", b.path("disk.raw"))
	d := openFile(t, b.path("disk.raw"))
	var types []string
	for _, r := range d.Regions {
		types = append(types, r.Type)
	}
	if want := []string{"esp", "root-x86-64", "home"}; d.Table != partition.GPT || !slices.Equal(types, want) {
		t.Fatalf("%s with %q, want %q", d.Table, types, want)
	}
	b.checkESP(d.Regions[0])
	b.check(d.Regions[1], "ext4", "/usr/lib")
	b.faultless(d)
}

// Guix makes an ext4 of a populated directory, has e2fsck index it, and puts it behind an ESP, on an MBR in many of its images.
func TestGuixShaped(t *testing.T) {
	hosttest.Need(t, "mke2fs", "e2fsck", "sfdisk", "mkfs.fat", "mmd", "mcopy", "dd")
	b := builder{t, t.TempDir()}
	b.system("/gnu/store", "/var/guix/db/schema") // no database: the items are not registered
	hosttest.Run(t, "mke2fs", "-q", "-t", "ext4", "-L", "Guix_image", "-E", "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1", "-d", b.path("root"), b.path("root.img"), "48M")
	hosttest.Run(t, "bash", "-c", "e2fsck -fDy '"+b.path("root.img")+"' || [ $? = 1 ]")
	b.write("disk.raw", "")
	if err := os.Truncate(b.path("disk.raw"), 100<<20); err != nil {
		t.Fatal(err)
	}
	b.write("table", "label: dos\nstart=2048, size=65536, type=ef\nstart=67584, size=98304, type=83, bootable\n")
	hosttest.Run(t, "bash", "-c", "sfdisk --quiet '"+b.path("disk.raw")+"' < '"+b.path("table")+"'")
	b.put("disk.raw", "esp.img", 1<<20)
	b.put("disk.raw", "root.img", 33<<20)
	d := openFile(t, b.path("disk.raw"))
	if d.Table != partition.MBR || len(d.Regions) != 2 {
		t.Fatalf("%s, %+v", d.Table, d.Regions)
	}
	b.checkESP(d.Regions[0])
	b.check(d.Regions[1], "ext4", "/gnu/store")
	if d.Regions[1].Volume.Label != "Guix_image" {
		t.Errorf("label %q", d.Regions[1].Volume.Label)
	}
	b.faultless(d)
}

// NixOS shrinks an ext4 to what it needs, and leaves the registration for the first boot; there is no database yet.
func TestNixOSShaped(t *testing.T) {
	hosttest.Need(t, "mkfs.ext4", "resize2fs", "sfdisk", "mkfs.fat", "mmd", "mcopy", "dd")
	b := builder{t, t.TempDir()}
	b.system("/nix/store", "/nix-path-registration")
	hosttest.Run(t, "mkfs.ext4", "-q", "-L", "NIXOS_SD", "-d", b.path("root"), b.path("root.img"), "128M")
	hosttest.Run(t, "e2fsck", "-fn", b.path("root.img"))
	hosttest.Run(t, "resize2fs", "-M", b.path("root.img"))
	b.write("disk.raw", "")
	if err := os.Truncate(b.path("disk.raw"), 180<<20); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(b.path("root.img"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("table", fmt.Sprintf("label: gpt\nstart=2048, size=65536, type=uefi, name=ESP\nstart=67584, size=%d, type=linux, name=primary\n", st.Size()/512))
	hosttest.Run(t, "bash", "-c", "sfdisk --quiet '"+b.path("disk.raw")+"' < '"+b.path("table")+"'")
	b.put("disk.raw", "esp.img", 1<<20)
	b.put("disk.raw", "root.img", 33<<20)
	d := openFile(t, b.path("disk.raw"))
	if d.Table != partition.GPT || len(d.Regions) != 2 {
		t.Fatalf("%s, %+v", d.Table, d.Regions)
	}
	b.checkESP(d.Regions[0])
	b.check(d.Regions[1], "ext4", "/nix/store")
	if stores, err := d.Regions[1].Stores(t.Context()); err != nil || len(stores) > 0 {
		t.Errorf("a store without a database was opened: %v", err)
	}
	b.faultless(d)
}

// A journal that was not replayed is said, and the file system is read as it is without it.
func TestJournalToReplay(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs")
	b := builder{t, t.TempDir()}
	b.write("root/etc/hostname", "foreign\n")
	b.write("block", strings.Repeat("J", 4096))
	hosttest.Run(t, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", b.path("root"), b.path("image"), "32M")
	before := openFile(t, b.path("image"))
	if before.Regions[0].Volume.NeedsReplay {
		t.Error("a new file system needs no replay")
	}
	parts := before.Regions[0].Volume.Tree.Find("/etc/hostname").Blob().(tree.PlacedBlob).Parts()
	b.write("commands", fmt.Sprintf("journal_open\njournal_write -b %d %s\njournal_close\n", parts[0].Off/4096, b.path("block")))
	hosttest.Run(t, "debugfs", "-w", "-f", b.path("commands"), b.path("image"))
	d := openFile(t, b.path("image"))
	v := d.Regions[0].Volume
	if v == nil || !v.NeedsReplay || !slices.Contains(v.Features, "needs_recovery") {
		t.Fatalf("%+v, %v", v, d.Regions[0].Err)
	}
	if got := content(t, d.Regions[0], "/etc/hostname"); got != "foreign\n" {
		t.Errorf("the journal was replayed, or spoiled something: %.40q", got)
	}
	list := faultsOf(t, d)
	if !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "journal") }) || len(list) != 1 {
		t.Errorf("faults %q, want that of the journal", list)
	}
}
