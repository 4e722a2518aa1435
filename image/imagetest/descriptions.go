package imagetest

import (
	"fmt"
	"math/rand"
	"path/filepath"
	"strings"
	"testing"
)

// Bootable is a description of a disk with a boot loader, raw content and a store; its argument is the root of a closure.
const Bootable = `
[[closure]]
name = "system"
roots = ["%s"]
profile = "system"
[boot]
loader = "systemd-boot"
[[boot.entry]]
title = "test"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd", "extra.img"]
cmdline = "init=${closure.system}/init root=PARTUUID=${partition.root.partuuid} disk=${disk.guid}"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "8MiB"
[[partition]]
name = "blob"
type = "linux-generic"
filesystem = "none"
content = "blob.bin"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "10%%"
closures = ["system"]
  [[partition.file]]
  path = "/etc/machine"
  text = "${partition.root.uuid} $$HOME"
  [[partition.link]]
  path = "/run/booted"
  target = "${closure.system}"
  [[partition.tree]]
  source = "rootfs"
`

// Boot makes a small bootable system with its own kernel.
func Boot(t testing.TB) (World, string) {
	w := New(t)
	noise := make([]byte, 5<<20)
	rand.New(rand.NewSource(1)).Read(noise)
	copy(noise, "MZ") // as EFI programs begin
	kernel := w.Item("linux", nil, map[string]string{"bzImage": string(noise), "empty": ""})
	lib := w.Item("lib", nil, map[string]string{"lib.so": strings.Repeat("lib", 3000), "doc/a": "a", "doc/b": "b"})
	system := w.Item("system", []string{kernel, lib, w.Path("system")}, map[string]string{
		"kernel": "-> " + kernel + "/bzImage", "initrd": "the initrd", "init": "-> ../" + filepath.Base(lib) + "/lib.so", "broken": "-> nowhere",
	})
	w.File("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ an EFI program")
	w.File("extra.img", "an initrd of the host")
	w.File("blob.bin", string(noise[:100_000]))
	w.File("rootfs/etc/hosts", "127.0.0.1 localhost\n")
	w.File("rootfs/var/log/empty", "")
	return w, system
}

// OnMBR is Bootable with another loader, on a disk with an MBR.
func OnMBR(system, loader string) string {
	text := fmt.Sprintf(Bootable, system)
	text = strings.Replace(text, `loader = "systemd-boot"`, `loader = "`+loader+`"`, 1)
	text = strings.Replace(text, `size = "8MiB"`, `size = "16MiB"`, 1)
	return "table = \"mbr\"\n" + strings.Replace(text, `type = "esp"`, `type = "0x0e"`, 1)
}

// KernelOnly is a description of a disk that boots a kernel; its arguments are the root of a closure and the kernel.
const KernelOnly = `
[[closure]]
name = "system"
roots = ["%s"]
[boot]
loader = "systemd-boot"
[[boot.entry]]
title = "test"
kernel = "%s"
initrd = ["${closure.system}/a/initrd", "${closure.system}/b/initrd"]
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

// EFIProgram returns the header of an EFI program for a machine (PE, "Machine Types"), enough for imprint to take it for one.
func EFIProgram(machine, rest string) string {
	return "MZ" + strings.Repeat("\x00", 0x3a) + "\x40\x00\x00\x00PE\x00\x00" + machine + rest
}

// Machine types of EFI programs.
const (
	X86 = "\x64\x86"
	ARM = "\x64\xaa"
)

// FirstDifference returns the first offset at which two disks of the same size differ, -1 if they are equal.
func FirstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
