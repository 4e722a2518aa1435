package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"imprint/bootloader"
	"imprint/bootloader/grubmkimage"
	"imprint/internal/diag"
	"imprint/internal/tree"
	"imprint/partition"
)

// machine is the disk as a boot loader sees it, before any identifier is chosen.
func (d *Description) machine() bootloader.Machine {
	m := bootloader.Machine{Arch: d.Arch, Table: cmp.Or(d.Table, tableGPT)}
	if d.Format == formatISO {
		m.Table = tableISO
	}
	for i, p := range d.Partition {
		m.Partitions = append(m.Partitions, bootloader.Partition{
			Name: p.Name, Number: i + 1, Type: cmp.Or(typeName(p.Type), p.Filesystem), Filesystem: p.Filesystem, Store: len(p.Closures) > 0,
		})
	}
	return m
}

// typeName is the name of a partition type that is given by a name or by its GUID, where a boot loader knows it.
func typeName(text string) string {
	id, err := partition.TypeGUID(text, "")
	switch {
	case strings.EqualFold(text, "0xef"):
		return "esp"
	case strings.EqualFold(text, "0xea"):
		return "xbootldr"
	case err != nil:
		return text
	case id == partition.ESP:
		return "esp"
	case id == partition.XBOOTLDR:
		return "xbootldr"
	case id == partition.BIOSBoot:
		return "bios-boot"
	}
	return text
}

// findInputs finds what the loader is made of: where the description says, in a closure, or on the host.
func (r *resolver) findInputs(ctx context.Context, inputs []bootloader.Input) error {
	r.inputs = map[string]tree.Blob{}
	for _, in := range inputs {
		b, err := r.findInput(ctx, in)
		if err != nil {
			return err
		}
		if b != nil {
			r.inputs[in.Path] = b
		}
	}
	return nil
}

// findInput gives one input, pinned. It is nil when there is a problem.
func (r *resolver) findInput(ctx context.Context, in bootloader.Input) (tree.Blob, error) {
	if given := r.hosts["boot.efi-binary"]; given != nil && in.EFI {
		r.checkProgram("boot.efi-binary", given.blob, true)
		return given.blob, nil
	}
	path := in.Path
	if in.Core != nil {
		path += "/moddep.lst" // which every directory of modules has
	}
	b, host := r.inClosures(path), ""
	if b == nil {
		if host = r.onHost(path, in.Package); host == "" {
			return nil, nil
		}
	}
	if in.Core == nil {
		if b == nil {
			b = r.hostBlob(ctx, "boot.loader", host)
		}
		return b, nil
	}
	if h, ok := b.(interface{ HostPath() string }); ok {
		host = h.HostPath()
	}
	image, err := grubmkimage.Make(ctx, grubmkimage.Options{Dir: filepath.Dir(host), Format: in.Core.Format, Prefix: in.Core.Prefix, Modules: in.Core.Modules})
	if err != nil {
		return nil, err
	}
	core := tree.Text(string(image))
	r.plan.pins[core], _, err = hashBlob(ctx, core)
	return core, err
}

// inClosures looks for a file by its path below a store item.
func (r *resolver) inClosures(path string) tree.Blob {
	for _, item := range r.plan.Items {
		if _, file, err := r.inStore(item.Info.Path.String() + "/" + path); err == nil {
			return file.content
		}
	}
	return nil
}

// onHost looks for a file below the host's directories of programs; "" is a problem that is told.
func (r *resolver) onHost(path, debian string) string {
	dirs := r.in.HostDirs
	if dirs == nil {
		dirs = []string{"/usr"}
	}
	for _, dir := range dirs {
		full := filepath.Join(dir, path)
		if _, err := os.Stat(full); !errors.Is(err, fs.ErrNotExist) {
			return full
		}
	}
	r.problem("boot.loader", fmt.Sprintf("no %s in any closure, nor on the host below %s", path, strings.Join(dirs, ", ")),
		"give it with boot.efi-binary if it is an EFI program, or install it (Debian: apt-get install "+debian+")")
	return ""
}

// hostBlob is a host file that was only found to be needed on the way, or nil with a problem told.
func (r *resolver) hostBlob(ctx context.Context, key, name string) tree.Blob {
	if in := r.hostFile(ctx, key, name); in != nil {
		return in.blob
	}
	return nil
}

// hostFile reads and pins a host file that was only found to be needed on the way.
func (r *resolver) hostFile(ctx context.Context, key, name string) *hostInput {
	h := &hostReader{r: r}
	in := h.file(key, name)
	r.problems = append(r.problems, h.problems...)
	if in == nil {
		return nil
	}
	if err := h.pinAll(ctx); err != nil {
		r.problem(key, err.Error(), "")
		return nil
	}
	return in
}

// arrange asks the loader what it puts where, and keeps it in the plan.
func (r *resolver) arrange(ctx context.Context) (bootloader.Artifacts, error) {
	loader, err := bootloader.Named(r.d.Boot.Loader)
	if err != nil {
		return bootloader.Artifacts{}, err
	}
	c := r.bootConfig()
	r.plan.Entries, r.plan.DefaultEntry = c.Entries, c.Default
	if c.Signer = r.signer(); r.problems != nil {
		return bootloader.Artifacts{}, nil
	}
	a, err := loader.Artifacts(c)
	if err == nil {
		err = r.pinFiles(ctx, a.Files)
	}
	if err != nil {
		return a, diag.List{r.d.Problem("boot.loader", err.Error(), "")}.Err()
	}
	r.plan.bootCode, r.plan.elTorito = a.BootCode, a.ElTorito
	for _, raw := range a.Raw {
		if raw.Partition == "" {
			r.plan.Raw = append(r.plan.Raw, Raw{Key: "boot.loader", Name: "the boot loader", Offset: raw.Offset, Content: linked(raw, raw.Offset)})
		}
	}
	for _, p := range r.plan.Partitions {
		if p.Active = p.Spec.Name == a.Active && a.Active != ""; p.Active && r.d.Table == tableGPT {
			p.Attributes |= activeBit
		}
		p.Spec.Syslinux = p.Spec.Name == a.Install && a.Install != ""
		for _, raw := range a.Raw {
			if raw.Partition == p.Spec.Name {
				p.code = &raw
			}
		}
	}
	return a, nil
}

// linked is raw content as it is when it begins at an offset of the disk, in bytes.
func linked(raw bootloader.Raw, offset int64) tree.Blob {
	return tree.Text(string(raw.Linked(offset / biosSector)))
}

// activeBit is the attribute of a GPT entry that a BIOS, or a loader in its place, boots from (UEFI 2.10, table 5.8).
const activeBit = 1 << 2

// biosSector is the unit in bytes that a BIOS counts in.
const biosSector = 512

// bootConfig is what the loader is asked to boot, once all identifiers are chosen.
func (r *resolver) bootConfig() bootloader.Config {
	b := r.d.Boot
	c := bootloader.Config{
		Machine: r.d.machine(), Inputs: r.inputs, Timeout: *b.Timeout, Console: b.Console, CopyKernel: b.CopyKernel == nil || *b.CopyKernel,
	}
	for i, p := range r.plan.Partitions {
		c.Partitions[i].VolumeID = p.VolumeID()
	}
	for i, e := range r.entries {
		e.Cmdline = r.cmdline(e.cmdline)
		if err := r.d.checkCmdline(e.Cmdline); err != nil {
			r.problem(r.entryKey(i)+".cmdline", err.Error(), "with what stands for substitutions, and the words that all entries have, it is\n"+e.Cmdline)
		}
		c.Entries = append(c.Entries, e.Entry)
		if e.Title == b.Default {
			c.Default = i
		}
	}
	return c
}
