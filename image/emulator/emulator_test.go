package emulator

import (
	"strings"
	"testing"

	"imprint/image/plan"
	"imprint/image/write"
)

func TestLine(t *testing.T) {
	esp, bios := []plan.ManifestPartition{{Type: "esp"}}, []plan.ManifestPartition{{Type: "bios-boot"}}
	of := func(arch, loader, format string, sector int64, parts []plan.ManifestPartition) Target {
		return TargetOf(&plan.Manifest{Arch: arch, Loader: loader, Format: format, SectorSize: sector, Partitions: parts})
	}
	entries := []write.ExportedEntry{{Kernel: "a.kernel"}, {Kernel: "b.kernel", Initrd: "b.initrd", Cmdline: "x y", Default: true}}
	for _, test := range []struct {
		boot Boot
		want string
	}{
		{Boot{Target: of("x86_64", "uki", "raw", 512, esp), Image: "a,b c"},
			"qemu-system-x86_64 -machine q35 -m 1024 -nographic -bios /usr/share/ovmf/OVMF.fd -drive 'if=virtio,format=raw,file=a,,b c'"},
		{Boot{Target: of("x86_64", "uki", "raw", 4096, esp), Image: "a", Discard: true},
			"qemu-system-x86_64 -machine q35 -m 1024 -nographic -bios /usr/share/ovmf/OVMF.fd " +
				"-device virtio-blk-pci,drive=disk,logical_block_size=4096,physical_block_size=4096 -drive if=none,id=disk,format=raw,file=a,snapshot=on"},
		{Boot{Target: of("x86_64", "grub", "raw", 512, bios), Image: "a"}, "qemu-system-x86_64 -m 1024 -nographic -drive if=virtio,format=raw,file=a"},
		{Boot{Target: of("x86_64", "grub", "iso", 512, esp), Image: "a", Discard: true},
			"qemu-system-x86_64 -m 1024 -nographic -bios /usr/share/ovmf/OVMF.fd -drive media=cdrom,format=raw,file=a"},
		{Boot{Target: of("aarch64", "grub", "iso", 512, esp), Image: "a"},
			"qemu-system-aarch64 -machine virt -cpu max -m 1024 -nographic -bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd " +
				"-device virtio-scsi-pci -device scsi-cd,drive=cd -drive if=none,id=cd,media=cdrom,format=raw,file=a"},
		{Boot{Target: of("x86_64", "none", "raw", 512, nil), Image: "a", Export: "boot", Entries: entries},
			"qemu-system-x86_64 -m 1024 -nographic -kernel boot/b.kernel -initrd boot/b.initrd -append 'x y' -drive if=virtio,format=raw,file=a"},
		{Boot{Target: of("x86_64", "none", "raw", 512, nil), Image: "a"}, ""},
		{Boot{Target: of("riscv64", "uki", "raw", 512, esp), Image: "a"}, ""},
	} {
		if got := strings.TrimSpace(test.boot.Line()); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}
