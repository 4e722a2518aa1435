package qemutest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A machine is a kind of machine with its firmware.
type machine struct {
	program string
	args    []string
	bios    string // firmware for -bios; "" for QEMU's own
	code    string // UEFI firmware in flash memory
	vars    string // the variables of code, of which every machine gets a copy
}

// The machines, with the firmware of Debian's packages ovmf, qemu-efi-aarch64 and u-boot-qemu.
var (
	pc   = machine{program: "qemu-system-x86_64", args: []string{"-machine", "pc", "-vga", "std"}}
	uefi = machine{
		program: "qemu-system-x86_64", args: []string{"-machine", "q35", "-vga", "std"},
		code: "/usr/share/OVMF/OVMF_CODE_4M.fd", vars: "/usr/share/OVMF/OVMF_VARS_4M.fd",
	}
	// secure starts only programs signed with Debian's snake oil key.
	secure = machine{
		program: "qemu-system-x86_64",
		args:    []string{"-machine", "q35,smm=on", "-vga", "std", "-global", "driver=cfi.pflash01,property=secure,value=on"},
		code:    "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", vars: "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd",
	}
	armUEFI  = machine{program: "qemu-system-aarch64", args: armArgs, bios: "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"}
	armUBoot = machine{program: "qemu-system-aarch64", args: armArgs, bios: "/usr/lib/u-boot/qemu_arm64/u-boot.bin"}
	armArgs  = []string{"-machine", "virt", "-cpu", "cortex-a57"}
)

// A mode is a machine and how the image is attached to it: second in the boot order, since a kernel in Args comes first.
type mode struct {
	machine
	cdrom  bool     // the image is a CD
	device []string // devices, one of which has the drive "image"
	twice  bool     // there is a second drive "again" with the same content
}

// usbStick is the disk that the firmware starts from. Debian's cloud kernel has no USB driver, so it finds the same image on a second disk.
var usbStick = []string{"qemu-xhci", "usb-storage,drive=image,bootindex=1", "virtio-blk-pci,drive=again"}

// scsiCD is a CD on a machine without IDE.
var scsiCD = []string{"virtio-scsi-pci", "scsi-cd,drive=image,bootindex=1"}

const virtio = "virtio-blk-pci,drive=image,bootindex=1"

var modes = map[string]mode{
	"uefi":           {machine: uefi, device: []string{virtio}},
	"uefi-nvme":      {machine: uefi, device: []string{"nvme,drive=image,serial=image,bootindex=1"}},
	"uefi-secure":    {machine: secure, device: []string{virtio}},
	"uefi-cd":        {machine: uefi, cdrom: true, device: scsiCD},
	"bios":           {machine: pc, device: []string{virtio}},
	"bios-ide":       {machine: pc, device: []string{"ide-hd,drive=image,bootindex=1"}},
	"bios-cd":        {machine: pc, cdrom: true, device: []string{"ide-cd,drive=image,bootindex=1"}},
	"uefi-usb":       {machine: uefi, twice: true, device: usbStick},
	"bios-usb":       {machine: pc, twice: true, device: usbStick},
	"aarch64-uefi":   {machine: armUEFI, device: []string{virtio}},
	"aarch64-cd":     {machine: armUEFI, cdrom: true, device: scsiCD},
	"aarch64-u-boot": {machine: armUBoot, device: []string{virtio}},
}

// files returns the files of the machine's firmware.
func (m machine) files() (files []string) {
	for _, f := range []string{m.bios, m.code, m.vars} {
		if f != "" {
			files = append(files, f)
		}
	}
	return files
}

// Modes returns the names of all modes. In "uefi" and "bios" the image is a virtio disk.
func Modes() []string { return slices.Sorted(maps.Keys(modes)) }

func (o Options) mode() string {
	if o.Mode == "" {
		return "uefi"
	}
	return o.Mode
}

// args returns QEMU's arguments; the firmware's variables are copied to dir.
func (o Options) args(dir string) ([]string, error) {
	m, ok := modes[o.mode()]
	if !ok {
		return nil, fmt.Errorf("unknown mode %q; the modes are %s", o.Mode, strings.Join(Modes(), ", "))
	}
	memory := o.Memory
	if memory == 0 {
		memory = 1024
	}
	args := strings.Fields(`-accel tcg,thread=multi -smp 1 -no-reboot -display none
		-serial stdio -monitor none -parallel none -net none`)
	args = append(args, "-m", strconv.Itoa(memory), "-drive", o.drive("image", m))
	if m.twice {
		args = append(args, "-drive", o.drive("again", m))
	}
	for _, d := range m.device {
		args = append(args, "-device", d)
	}
	firmware, err := m.firmware(dir)
	if err != nil {
		return nil, err
	}
	return slices.Concat(args, m.machine.args, firmware, o.Args), nil
}

// drive returns the -drive option for the image. QEMU wants a comma in a file name doubled.
func (o Options) drive(id string, m mode) string {
	d := "id=" + id + ",if=none,format=raw,file=" + strings.ReplaceAll(o.Image, ",", ",,")
	switch {
	case m.cdrom:
		return d + ",media=cdrom,readonly=on"
	case o.Keep:
		return d + ",cache=unsafe"
	}
	return d + ",snapshot=on"
}

// firmware returns the arguments for the machine's firmware, whose variables are copied to dir.
func (m machine) firmware(dir string) ([]string, error) {
	if m.bios != "" {
		return []string{"-bios", m.bios}, nil
	}
	if m.code == "" {
		return nil, nil
	}
	vars, err := os.ReadFile(m.vars)
	if err != nil {
		return nil, err
	}
	fresh := filepath.Join(dir, "vars.fd")
	if err := os.WriteFile(fresh, vars, 0o600); err != nil {
		return nil, err
	}
	return []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + m.code,
		"-drive", "if=pflash,unit=1,format=raw,file=" + fresh,
	}, nil
}
