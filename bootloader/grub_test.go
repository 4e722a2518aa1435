package bootloader

import (
	"encoding/binary"
	"strings"
	"testing"

	"imprint/internal/tree"

	"github.com/google/go-cmp/cmp"
)

var (
	espPartition  = Partition{Name: "firmware", Number: 1, Type: "esp", Filesystem: "fat", VolumeID: "1234-ABCD"}
	biosPartition = Partition{Name: "bios", Number: 2, Type: "bios-boot", Filesystem: "none"}
	rootPartition = Partition{Name: "root", Number: 3, Type: "root", Filesystem: "ext4", VolumeID: "0a1b", Store: true}
)

func grubConfig(parts ...Partition) Config {
	kernel := Source{Name: "abc-linux", Path: "/nix/store/abc/linux", Content: tree.Text("KERNEL")}
	return Config{
		Machine: Machine{Arch: "x86_64", Table: "gpt", Partitions: parts},
		Inputs: map[string]tree.Blob{
			"lib/grub/x86_64-efi":       tree.Text("EFI"),
			"lib/grub/i386-pc":          tree.Text("core" + strings.Repeat("x", 1500)),
			"lib/grub/i386-pc/boot.img": tree.Text(strings.Repeat("b", 512)),
		},
		Timeout: 5, Default: 1, Console: []string{"tty0", "ttyS1,9600n8"},
		Entries: []Entry{
			{Title: "It's new", Kernel: kernel, Initrd: []Source{
				{Name: "abc-initrd", Path: "/nix/store/abc/initrd", Content: tree.Text("I")}, {Name: "host", Content: tree.Text("H")},
			}, Cmdline: "init=/x a=$b  quiet"},
			{Title: "old", Kernel: kernel},
		},
	}
}

// A menu reads each file on the partition that it lies on, found by its file system's UUID, and nothing in a description is a script.
func TestGRUBMenu(t *testing.T) {
	want := `if serial --unit=1 --speed=9600; then
  terminal_input console serial
  terminal_output console serial
fi
set default=1
set timeout=5
menuentry --id it-s-new -- 'It'\''s new' {
  search --no-floppy --fs-uuid --set=disk3 0a1b
  search --no-floppy --fs-uuid --set=disk1 1234-ABCD
  linux ($disk3)/nix/store/abc/linux init=/x 'a=$b' quiet
  initrd ($disk3)/nix/store/abc/initrd ($disk1)/EFI/imprint/host
}
menuentry --id old -- old {
  search --no-floppy --fs-uuid --set=disk3 0a1b
  linux ($disk3)/nix/store/abc/linux
}
`
	a, err := grub{}.Artifacts(grubConfig(espPartition, rootPartition))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Partition+":"+f.Path] = content(t, f.Content)
	}
	if diff := cmp.Diff(want, files["firmware:/boot/grub/grub.cfg"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if files["firmware:/EFI/BOOT/BOOTX64.EFI"] != "EFI" || files["firmware:/EFI/imprint/host"] != "H" || len(files) != 4 || a.BootCode != nil {
		t.Errorf("files %v, boot code %v", files, a.BootCode)
	}
	c := grubConfig(espPartition, rootPartition)
	c.CopyKernel = true
	if a, err = (grub{}).Artifacts(c); err != nil || len(a.Files) != 6 {
		t.Errorf("%d files with copies, %v", len(a.Files), err)
	}
}

// Without an ESP everything is on the partition with the store, and the code of a BIOS finds the rest by its sectors.
func TestGRUBBlockList(t *testing.T) {
	c := grubConfig(biosPartition, rootPartition)
	r := grub{}.Requires(c.Machine)
	if len(r.Partitions) != 0 || r.Inputs[0].Core.Prefix != "(,gpt3)/boot/grub" {
		t.Errorf("requirements %+v", r)
	}
	a, err := grub{}.Artifacts(c)
	if err != nil {
		t.Fatal(err)
	}
	if f := a.Files[len(a.Files)-1]; f.Partition != "root" || f.Path != "/boot/grub/grub.cfg" {
		t.Errorf("grub.cfg is %s:%s", f.Partition, f.Path)
	}
	boot, raw := a.BootCode.Linked(2048), a.Raw[0]
	core := raw.Linked(2048)
	le := binary.LittleEndian
	if len(boot) != 440 || le.Uint64(boot[0x5c:]) != 2048 || boot[0x66] != 0x90 || boot[0x67] != 0x90 || boot[0x68] != 'b' {
		t.Errorf("boot code % x", boot)
	}
	if raw.Partition != "bios" || raw.Offset != 0 || len(core) != 3*512 {
		t.Errorf("%d bytes at %d of %s", len(core), raw.Offset, raw.Partition)
	}
	if le.Uint64(core[0x1f4:]) != 2049 || le.Uint16(core[0x1fc:]) != 2 || le.Uint16(core[0x1fe:]) != 0x820 {
		t.Errorf("block list % x", core[0x1f4:0x200])
	}
}

func TestGRUBRequires(t *testing.T) {
	for name, c := range map[string]struct {
		m    Machine
		want string
	}{
		"neither":       {Machine{Arch: "x86_64", Table: "gpt"}, "bios-boot"},
		"arm":           {Machine{Arch: "aarch64", Table: "gpt"}, "esp"},
		"arm has bios":  {Machine{Arch: "aarch64", Table: "gpt", Partitions: []Partition{biosPartition}}, "esp"},
		"mbr":           {Machine{Arch: "x86_64", Table: "mbr", Partitions: []Partition{rootPartition}}, ""},
		"mbr of a tree": {Machine{Arch: "x86_64", Table: "mbr", Partitions: []Partition{systemPartition("ext4")}}, ""},
		"no menu":       {Machine{Arch: "x86_64", Table: "mbr", Partitions: []Partition{systemPartition("erofs")}}, "xbootldr"},
		"bios alone":    {Machine{Arch: "x86_64", Table: "gpt", Partitions: []Partition{biosPartition}}, "xbootldr"},
		"both":          {Machine{Arch: "x86_64", Table: "gpt", Partitions: []Partition{biosPartition, espPartition}}, ""},
	} {
		missing := ""
		for _, r := range (grub{}).Requires(c.m).Partitions {
			if !r.Met(c.m) {
				missing += r.Type
			}
		}
		if missing != c.want {
			t.Errorf("%s: missing %q, want %q", name, missing, c.want)
		}
	}
}

func TestSerialLine(t *testing.T) {
	for console, want := range map[string][3]string{
		"ttyS0,115200": {"0", "115200", "yes"}, "ttyS1": {"1", "9600", "yes"}, "ttyS3,38400n8r": {"3", "38400", "yes"}, "tty0": {},
		"ttyAMA0,115200": {}, "ttySAC0,115200": {}, "ttyS4": {}, "ttyS10,9600": {}, "ttyS": {}, "ttyS1x": {},
	} {
		unit, speed, ok := Config{Machine: Machine{Arch: "x86_64"}, Console: []string{"tty1", console}}.serialLine()
		if got := [3]string{unit, speed, "yes"}; ok != (want[2] != "") || ok && got != want {
			t.Errorf("%s: %v %v", console, got, ok)
		}
	}
	if _, _, ok := (Config{Machine: Machine{Arch: "aarch64"}, Console: []string{"ttyS0"}}).serialLine(); ok {
		t.Error("a machine that is no PC has a PC's serial line")
	}
}

// The boot code of an MBR comes with an active partition, the one with the menu.
func TestGRUBActive(t *testing.T) {
	c := grubConfig(rootPartition)
	c.Table = "mbr"
	a, err := grub{}.Artifacts(c)
	if err != nil || a.Active != "root" || a.BootCode == nil || len(a.Raw) != 1 || a.Raw[0].Offset != 512 {
		t.Errorf("active is %q, raw %v, %v", a.Active, a.Raw, err)
	}
}
