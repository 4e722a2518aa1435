package demostore

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
)

// Parts are the files of other projects that a system is made of.
type Parts struct {
	Busybox  string // a statically linked busybox
	Kernel   Kernel
	Modules  []string // names of the kernel modules that the initrd loads
	Programs string   // a directory with EFI programs and GRUB modules below lib, which become a further item; "" for none
}

// HostParts finds the parts on this machine: the kernel below kernelDir or, if it is installed, below /, and /bin/busybox.
func HostParts(kernelDir string) (Parts, error) {
	kernel, err := findKernel("amd64", kernelDir, "/")
	if err != nil {
		return Parts{}, err
	}
	p := Parts{Busybox: "/bin/busybox", Kernel: kernel, Modules: []string{
		"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod", "ata_piix", "isofs", "loop", "squashfs", "erofs", "overlay",
	}}
	return p, p.check()
}

// ArmParts finds the parts of an aarch64 system in a directory with unpacked Debian packages.
func ArmParts(dir string) (Parts, error) {
	kernel, err := findKernel("arm64", dir)
	if err != nil {
		return Parts{}, err
	}
	p := Parts{
		Busybox: filepath.Join(dir, "bin/busybox"), Kernel: kernel, Programs: filepath.Join(dir, "usr"),
		Modules: []string{"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod", "isofs", "loop", "squashfs", "overlay"},
	}
	return p, p.check()
}

// check refuses a dynamically linked busybox: the guest has no dynamic linker.
func (p Parts) check() error {
	f, err := elf.Open(p.Busybox)
	if err != nil {
		return fmt.Errorf("%v (it is in Debian's package busybox-static)", err)
	}
	defer f.Close()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("%s is not statically linked; install Debian's package busybox-static", p.Busybox)
	}
	return nil
}
