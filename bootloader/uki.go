package bootloader

import (
	"bytes"
	"fmt"
	"strings"

	"imprint/bootloader/pe"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// uki makes each entry a unified kernel image: one EFI program, systemd's stub with kernel, initrds and command line as
// sections. The firmware starts the default entry by itself; the others are in EFI/Linux, where boot managers look for them.
// There is no menu.
type uki struct{}

var ukiLoader = Loader{Name: "uki", Signs: true, OnlyLinux: true, DeviceTree: true, Bootloader: uki{}}

func (uki) Requires(m Machine) Requirements {
	return Requirements{
		Partitions: []Requirement{esp("uki")},
		Inputs:     []Input{{Path: stubPath(m.Arch), Package: "systemd-boot-efi", EFI: true}},
		EFIKernel:  true,
	}
}

func stubPath(arch string) string { return "lib/systemd/boot/efi/linux" + efiArch[arch] + ".efi.stub" }

func (u uki) Artifacts(c Config) (Artifacts, error) {
	stub, err := read(c.Inputs[stubPath(c.Arch)])
	if err != nil {
		return Artifacts{}, err
	}
	esp, _ := c.find("esp")
	more, _ := c.find("xbootldr", "esp")
	var a Artifacts
	ids := IDs(c.Entries)
	for i, e := range c.Entries {
		program, err := u.program(stub, e, c.Signer)
		if err != nil {
			return a, fmt.Errorf("entry %q: %v", e.Title, err)
		}
		f := File{more.Name, "/EFI/Linux/" + ids[i] + ".efi", program}
		if i == c.Default {
			f = File{esp.Name, RemovablePath(c.Arch), program}
		}
		a.Files = append(a.Files, f)
	}
	return a, nil
}

// program returns the unified kernel image of an entry, signed if there is a key. The kernel is the last section, since some
// kernels run in place and need the memory after them (systemd-stub(7); UAPI group, "Unified Kernel Image").
func (uki) program(stub []byte, e Entry, s *Signer) (tree.Blob, error) {
	sections := []pe.Section{{Name: ".osrel", Content: tree.Text(osRelease(e.Title))}}
	if e.Cmdline != "" {
		sections = append(sections, pe.Section{Name: ".cmdline", Content: tree.Text(e.Cmdline)})
	}
	version, err := linuxVersion(e.Kernel.Content)
	if err != nil {
		return nil, err
	}
	if version != "" {
		sections = append(sections, pe.Section{Name: ".uname", Content: tree.Text(version)})
	}
	if len(e.Initrd) > 0 {
		sections = append(sections, pe.Section{Name: ".initrd", Content: joined(e.Initrd)})
	}
	if dtb := e.DeviceTree.Content; dtb != nil {
		if err := checkDeviceTree(dtb); err != nil {
			return nil, err
		}
		sections = append(sections, pe.Section{Name: ".dtb", Content: dtb})
	}
	program, err := pe.Append(stub, append(sections, pe.Section{Name: ".linux", Content: e.Kernel.Content}))
	if err != nil || s == nil {
		return program, err
	}
	return pe.Sign(program, s.Key, s.Certificates)
}

// deviceTreeMagic begins a flattened device tree (Devicetree Specification, 5.2).
const deviceTreeMagic = "\xd0\x0d\xfe\xed"

// checkDeviceTree returns an error for a file that is no flattened device tree, without which the kernel would not say a word.
func checkDeviceTree(b tree.Blob) error {
	head, err := tree.ReadHead(b, int64(len(deviceTreeMagic)))
	if err == nil && string(head) != deviceTreeMagic {
		err = fmt.Errorf("the devicetree is no compiled device tree: it begins with % x", head)
	}
	return err
}

// osRelease returns what boot managers show for a unified kernel image, in the format of os-release(5).
func osRelease(title string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(title)
	return fmt.Sprintf("ID=imprint\nPRETTY_NAME=\"%s\"\n", quoted)
}

// joined concatenates initrds, each aligned to 4 bytes (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
func joined(initrds []Source) tree.Blob {
	if len(initrds) == 1 {
		return initrds[0].Content
	}
	var parts []tree.Blob
	for _, src := range initrds {
		size := src.Content.Size()
		parts = append(parts, src.Content, tree.Text(string(make([]byte, units.Align(size, 4)-size))))
	}
	return tree.Concat(parts...)
}

// maxVersion is the maximum length of `uname -r` in bytes (Linux, include/uapi/linux/utsname.h, __NEW_UTS_LEN).
const maxVersion = 64

// linuxVersion returns what `uname -r` will print under a kernel for x86, "" for other kernels, which would have to be
// unpacked. The header field kernel_version, at byte 0x20e, holds the offset of the text from byte 0x200 (Linux,
// Documentation/arch/x86/boot.rst).
func linuxVersion(kernel tree.Blob) (string, error) {
	head, err := tree.ReadHead(kernel, 64<<10)
	if err != nil {
		return "", err
	}
	if len(head) < 0x210 || string(head[0x202:0x206]) != "HdrS" {
		return "", nil
	}
	at := 0x200 + int(head[0x20e]) + int(head[0x20f])<<8
	if at == 0x200 || at >= len(head) {
		return "", nil
	}
	version, _, _ := bytes.Cut(head[at:], []byte{0})
	first, _, _ := strings.Cut(string(version), " ")
	if len(first) > maxVersion || strings.ContainsFunc(first, func(r rune) bool { return r < '!' || r > '~' }) {
		return "", nil
	}
	return first, nil
}
