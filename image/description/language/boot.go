package language

import (
	"imprint/bootloader"
	"imprint/internal/keyed"
)

// boot describes the keys of the boot loader and its menu.
var boot = map[string]keyed.Rule{
	"boot": {Doc: "How the image boots."},
	"boot.loader": {
		Doc:   "Boot loader.",
		Words: bootloader.Names(),
		Later: bootloader.Later(),
	},
	"boot.timeout":    {Doc: "Seconds that the menu waits; 0 boots at once, without a menu.", Most: maxTimeout},
	"boot.efi-binary": {Doc: "EFI binary of the loader. Default: found in the closures, or on the host."},
	"boot.default":    {Doc: "Title of the default entry. Default: the first."},
	"boot.console": {
		Doc: "Consoles for every entry, as in the kernel's console=, such as ttyS0,115200. " +
			"With loader = " + Alternatives(LoadersThat(ShowOnSerial)) + " the menu is on the first of ttyS0 to ttyS3 too.",
	},
	"boot.copy-kernel": {
		Doc: "Copy kernels, initrds and device trees to the ESP or XBOOTLDR partition, if there is one; with false the loader reads them in the store.",
	},
	"boot.sign-key":         {Doc: "RSA key that signs unified kernel images for Secure Boot: PEM, without a passphrase."},
	"boot.sign-certificate": {Doc: "Certificate of the key, in PEM; the rest of its chain may follow."},
	"boot.menu-color": {
		Doc: "With loader = " + Alternatives(LoadersThat(HaveLooks)) + ": colours of the menu, text/background, such as \"white/blue\".",
	},
	"boot.menu-highlight": {Doc: "Colours of the selected entry, likewise."},
	"boot.background": {
		Doc: "With loader = " + Alternatives(LoadersThat(HaveLooks)) + ": picture on the host that is shown behind the menu: PNG, JPEG or TGA. " +
			"A menu colour with background black lets it through.",
	},
	"boot.editor": {
		Doc: "With loader = " + Alternatives(LoadersThat(HaveEditor)) + ": whether command lines can be edited in the menu. Default: the loader's, which is true.",
	},
	"boot.console-mode": {
		Doc:   "With loader = " + Alternatives(LoadersThat(HaveModes)) + ": resolution of the menu, by number or word.",
		Words: bootloader.ConsoleModes(),
	},
	"boot.extra-lines": {
		Doc:  "Lines that are added to the loader's configuration as they are: " + bootloader.ConfigFiles() + ".",
		Most: maxLines,
	},
	"boot.system": {
		Doc: "Closure with a profile whose generations are systems of NixOS or Guix: the menu has them all, the newest first, with their specialisations, as NixOS or Guix itself would write it.",
	},
	"boot.entry":       {Doc: "An entry of the boot menu."},
	"boot.entry.title": {Doc: "Title in the menu. Required without system."},
	"boot.entry.system": {
		Doc: "System of NixOS, or of Guix, instead of a kernel: the entry boots as its bootspec or its parameters say, and each specialisation gets an entry as well.",
	},
	"boot.entry.kernel": {
		Doc: "Linux kernel: a file on the host, in a closure, or in a partition's own tree, where a pattern has to match exactly one file. " +
			"UEFI and systemd-boot need one with an EFI stub. Required without system.",
	},
	"boot.entry.initrd":  {Doc: "Initial RAM disks, in the order in which they are loaded; found as the kernel is."},
	"boot.entry.cmdline": {Doc: "Kernel command line; with system it comes after the system's own."},
	"boot.entry.plain": {
		Doc: "Nothing is added to cmdline, neither boot.console nor what mounts the root file system. The kernel may be another EFI program, such as memtest.",
	},
	"boot.entry.submenu": {
		Doc: "With loader = " + Alternatives(LoadersThat(HaveSubmenus)) + ": title of the submenu that the entry is in; entries with the same one share it.",
	},
	"boot.entry.devicetree": {
		Doc: "With loader = " + Alternatives(LoadersThat(TakeDeviceTree)) +
			": device tree of the board, or a directory such as a kernel's dtbs, from which U-Boot picks its board's.",
	},
}
