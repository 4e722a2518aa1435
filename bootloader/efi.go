package bootloader

// removable is the name of the EFI program that firmware starts from a disk for which it has no boot entry (UEFI 2.10,
// 3.5.1.1), by architecture.
var removable = map[string]string{"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI", "riscv64": "BOOTRISCV64.EFI"}

// RemovablePath is the path of that program on the EFI system partition, "" for an architecture without UEFI.
func RemovablePath(arch string) string {
	if removable[arch] == "" {
		return ""
	}
	return "/EFI/BOOT/" + removable[arch]
}

// efiArch is the name of each architecture in systemd's EFI programs.
var efiArch = map[string]string{"x86_64": "x64", "aarch64": "aa64", "riscv64": "riscv64"}

// esp requires an EFI system partition.
func esp(loader string) Requirement {
	return Requirement{For: loader, Type: "esp", Filesystem: "fat", Size: "64MiB"}
}
