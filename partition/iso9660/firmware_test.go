package iso9660

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/qemutest"
	"imprint/internal/tree"
)

// grubStarts is the configuration of GRUB once firmware has started it.
const grubStarts = `serial --unit=0 --speed=115200
terminal_output serial
search --no-floppy --file --set=root /marker
cat /marker
sleep 5
halt
`

// core returns the path of an image of GRUB for a platform.
func core(t *testing.T, format string, modules ...string) string {
	t.Helper()
	hosttest.NeedFile(t, "/usr/lib/grub/i386-pc", "/usr/lib/grub/x86_64-efi")
	dir := t.TempDir()
	config, image := filepath.Join(dir, "config"), filepath.Join(dir, "image")
	if err := os.WriteFile(config, []byte(grubStarts), 0o644); err != nil {
		t.Fatal(err)
	}
	modules = append(modules, "iso9660", "part_msdos", "part_gpt", "fat", "serial", "terminal", "search", "search_fs_file", "cat", "sleep", "halt", "normal")
	hosttest.Run(t, "grub-mkimage", append([]string{"-O", format, "-o", image, "-c", config, "-p", "/boot/grub"}, modules...)...)
	return image
}

// esp returns a FAT file system with an EFI program, made by mtools.
func esp(t *testing.T, program string) []byte {
	t.Helper()
	hosttest.Need(t, "mformat", "mmd", "mcopy")
	image := filepath.Join(t.TempDir(), "esp")
	if err := os.WriteFile(image, make([]byte, 4<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "mformat", "-i", image, "-T", "8192", "-h", "64", "-s", "32", "::")
	hosttest.Run(t, "mmd", "-i", image, "::EFI", "::EFI/BOOT")
	hosttest.Run(t, "mcopy", "-i", image, program, "::EFI/BOOT/BOOTX64.EFI")
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	hosttest.NeedFile(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A BIOS starts the image from a CD by the boot catalog, and from a disk by code in the first sector that points to the BIOS image;
// UEFI starts the ESP from a CD by the catalog.
func TestFirmwareStarts(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "qemu-system-x86_64", "grub-mkimage")
	bios := tree.NewFile("", plain, tree.Text(string(readFile(t, core(t, "i386-pc-eltorito", "biosdisk")))))
	system := esp(t, core(t, "x86_64-efi"))
	o := bootOptions()
	o.BIOS.Path, o.ESP = "/boot/grub/eltorito.img", int64(len(system))
	p := plan(t, build(t, map[string]*tree.Node{o.BIOS.Path: bios, "/marker": tree.NewFile("", plain, tree.Text("imprint: started\n"))}), o)
	image := write(t, p)
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	code := readFile(t, "/usr/lib/grub/i386-pc/boot_hybrid.img")[:440]
	binary.LittleEndian.PutUint64(code[0x1b0:], uint64(p.Place(nil, bios)[0].Off/512+4))
	for off, part := range map[int64][]byte{0: code, 510: {0x55, 0xaa}, p.ESPOffset(): system} {
		if _, err := f.WriteAt(part, off); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []string{"bios-cd", "bios", "uefi-cd"} {
		t.Run(mode, func(t *testing.T) {
			r := qemutest.Boot(t, qemutest.Options{Image: image, Mode: mode, Marker: "imprint: started"})
			t.Log(strings.TrimSpace(r.Line), r.Seconds)
		})
	}
}
