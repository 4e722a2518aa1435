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

// What is run, and the firmware of Debian's package ovmf.
const (
	program      = "qemu-system-x86_64"
	firmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	firmwareVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// A mode is a kind of machine and how the image is plugged into it: second in the order of booting, since a kernel that Args give is first.
type mode struct {
	uefi   bool
	cdrom  bool     // the image is a CD
	device []string // takes the drive "image"
	twice  bool     // there is a second drive "again" with the same content
}

// usbStick is what firmware starts from. Debian's cloud kernel knows no USB, and so finds the same image on a disk that does not boot.
var usbStick = []string{"qemu-xhci", "usb-storage,drive=image,bootindex=1", "virtio-blk-pci,drive=again"}

var modes = map[string]mode{
	"uefi":      {uefi: true, device: []string{"virtio-blk-pci,drive=image,bootindex=1"}},
	"uefi-nvme": {uefi: true, device: []string{"nvme,drive=image,serial=image,bootindex=1"}},
	"uefi-cd":   {uefi: true, cdrom: true, device: []string{"virtio-scsi-pci", "scsi-cd,drive=image,bootindex=1"}},
	"bios":      {device: []string{"virtio-blk-pci,drive=image,bootindex=1"}},
	"bios-ide":  {device: []string{"ide-hd,drive=image,bootindex=1"}},
	"bios-cd":   {cdrom: true, device: []string{"ide-cd,drive=image,bootindex=1"}},
	"uefi-usb":  {uefi: true, twice: true, device: usbStick},
	"bios-usb":  {twice: true, device: usbStick},
}

// Modes are the machines that there are: "uefi" and "bios" have the image as a virtio disk.
func Modes() []string { return slices.Sorted(maps.Keys(modes)) }

func (o Options) mode() string {
	if o.Mode == "" {
		return "uefi"
	}
	return o.Mode
}

// args are QEMU's arguments; dir is for what the machine writes.
func (o Options) args(dir string) ([]string, error) {
	m, ok := modes[o.mode()]
	if !ok {
		return nil, fmt.Errorf("no mode %q, there are %s", o.Mode, strings.Join(Modes(), ", "))
	}
	memory := o.Memory
	if memory == 0 {
		memory = 1024
	}
	args := strings.Fields(`-accel tcg,thread=multi -smp 1 -no-reboot -display none -vga std
		-serial stdio -monitor none -parallel none -net none`)
	args = append(args, "-m", strconv.Itoa(memory), "-drive", o.drive("image", m))
	if m.twice {
		args = append(args, "-drive", o.drive("again", m))
	}
	for _, d := range m.device {
		args = append(args, "-device", d)
	}
	firmware := []string{"-machine", "pc"}
	if m.uefi {
		var err error
		if firmware, err = uefi(dir); err != nil {
			return nil, err
		}
	}
	return slices.Concat(args, firmware, o.Args), nil
}

// drive describes the image to QEMU, in whose options a comma in a name is doubled.
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

// uefi is a machine with UEFI firmware and a fresh copy of its variables.
func uefi(dir string) ([]string, error) {
	vars, err := os.ReadFile(firmwareVars)
	if err != nil {
		return nil, err
	}
	fresh := filepath.Join(dir, "vars.fd")
	if err := os.WriteFile(fresh, vars, 0o600); err != nil {
		return nil, err
	}
	return []string{
		"-machine", "q35",
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + firmwareCode,
		"-drive", "if=pflash,unit=1,format=raw,file=" + fresh,
	}, nil
}
