package resolve

import (
	"context"

	"imprint/bootloader"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// install asks the loader what to put where. This comes after identifiers are chosen, since menus and command lines contain
// them. Code and contents at fixed offsets go into the plan; files for partitions are returned.
func (w world) install(ctx context.Context, p *plan.Plan, hosts host.Inputs, store *closures.Union, boot *boot) ([]bootloader.File, error) {
	var problems diag.List
	c := bootloader.Config{
		Machine: boot.machine, Inputs: boot.inputs, Timeout: w.d.Boot.Timeout.V, Console: description.Strings(w.d.Boot.Console),
		CopyKernel: w.d.Boot.CopyKernel.V, Menu: w.menu(hosts, &problems),
	}
	for i, part := range p.Partitions {
		c.Partitions[i].VolumeID = part.VolumeID()
	}
	c.Entries, c.Default = w.entries(p, store, boot, &problems)
	c.Signer = w.signer(hosts, &problems)
	p.Entries, p.DefaultEntry, p.BootInputs, p.Timeout = c.Entries, c.Default, boot.read, c.Timeout
	if problems != nil {
		return nil, problems.Err()
	}
	a, err := boot.loader.Artifacts(c)
	if err == nil {
		err = pinFiles(ctx, a.Files)
	}
	if err != nil {
		return nil, diag.List{w.d.Boot.Loader.Key.ProblemOf(err)}
	}
	w.place(p, a)
	return a.Files, nil
}

// entries returns the boot entries with complete command lines, and the index of the default one.
func (w world) entries(p *plan.Plan, store *closures.Union, boot *boot, problems *diag.List) (list []bootloader.Entry, first int) {
	refer := w.reference(p, store)
	for i, e := range boot.entries {
		consoles, words := description.Strings(w.d.Boot.Console), w.rootWords()
		if e.Plain {
			consoles, words = nil, nil
		}
		e.Cmdline = bootloader.Cmdline(e.params+e.cmdline.V.Expand(refer), consoles, words)
		if err := boot.loader.CheckCmdline(w.d.Arch.V, e.Cmdline); err != nil {
			*problems = append(*problems, e.cmdline.Key.Problem(err.Error(),
				"with substitutions, consoles and root options it is\n"+e.Cmdline))
		}
		list = append(list, e.Entry)
		if e.Title == w.d.Boot.Default.V {
			first = i
		}
	}
	return list, first
}

// menu returns how the menu looks. The format of its picture is recognised here.
func (w world) menu(hosts host.Inputs, problems *diag.List) bootloader.Menu {
	b := w.d.Boot
	m := bootloader.Menu{Color: b.Color.V, Highlight: b.Highlight.V, Mode: b.Mode.V, Lines: description.Strings(b.Lines)}
	if b.Editor.Written() {
		m.Editor = map[bool]string{true: "yes", false: "no"}[b.Editor.V]
	}
	in := hosts[b.Background.Key]
	if in == nil {
		return m
	}
	var err error
	if m.Format, err = bootloader.PictureFormat(in.Blob); err != nil {
		*problems = append(*problems, b.Background.Key.ProblemOf(err))
	}
	m.Background = in.Blob
	return m
}

// rootWords returns the words besides root= that tell an initrd how to mount the root file system.
func (w world) rootWords() []string {
	root := w.d.Root()
	if root == nil {
		return nil
	}
	path := ""
	if root.Inside.V != "" {
		path = root.Path.V
	}
	return bootloader.RootWords(path, root.Volatile.V)
}

// reference returns the function that resolves substitutions, now that identifiers are chosen.
func (w world) reference(p *plan.Plan, store *closures.Union) func(description.Reference) string {
	return func(ref description.Reference) string {
		switch ref.Kind {
		case "disk":
			return p.DiskID()
		case description.KindISO:
			return field(p.WholeDisk(), ref.Field)
		case "partition":
			return field(p.Find(ref.Name), ref.Field)
		}
		return store.Reference(ref)
	}
}

// field resolves "${partition.NAME.FIELD}".
func field(p *plan.Partition, name string) string {
	switch {
	case p == nil:
		return ""
	case name == "partuuid":
		return p.PartUUIDText()
	case name == "roothash":
		return p.RootHash
	case name == "label":
		return p.Spec.Label
	}
	return p.VolumeID()
}

// signer reads the key and certificate that the description names. It is nil if there are none, or after a problem.
func (w world) signer(hosts host.Inputs, problems *diag.List) *bootloader.Signer {
	b := w.d.Boot
	if hosts[b.SignKey.Key] == nil || hosts[b.SignCert.Key] == nil {
		return nil
	}
	key, err := bootloader.ReadKey(hosts[b.SignKey.Key].Blob)
	if err != nil {
		*problems = append(*problems, b.SignKey.Key.ProblemOf(err))
		return nil
	}
	signer, err := bootloader.NewSigner(key, hosts[b.SignCert.Key].Blob)
	if err != nil {
		*problems = append(*problems, b.SignCert.Key.ProblemOf(err))
	}
	return signer
}

// pinFiles pins contents composed of several files, such as joined initrds. It reads them once more, but only so is a change
// between now and the writing found.
func pinFiles(ctx context.Context, files []bootloader.File) error {
	pinned := map[tree.Blob]tree.Blob{}
	for i, f := range files {
		if !tree.Composed(f.Content) {
			continue
		}
		if pinned[f.Content] == nil {
			b, err := tree.PinContent(ctx, f.Content)
			if err != nil {
				return err
			}
			pinned[f.Content] = b
		}
		files[i].Content = pinned[f.Content]
	}
	return nil
}

// activeBit is the attribute of the GPT entry that a BIOS, or its boot code, boots from (UEFI 2.10, table 5.8).
const activeBit = 1 << 2

// place adds to the plan what the loader puts at fixed offsets, and marks the partition that it starts from.
func (w world) place(p *plan.Plan, a bootloader.Artifacts) {
	p.BootCode, p.ElTorito = a.BootCode, a.ElTorito
	for _, raw := range a.Raw {
		if raw.Partition == "" {
			p.Raw = append(p.Raw, plan.Raw{
				Key: w.d.Boot.Loader.Key, Name: "the boot loader", Offset: raw.Offset, Loader: true,
				Content: tree.Text(string(raw.Linked(raw.Offset / bootloader.BIOSSector))),
			})
		}
	}
	for _, part := range p.Partitions {
		name := part.Spec.Name
		if part.Active = name == a.Active && a.Active != ""; part.Active && p.Table != partition.MBR {
			part.Attributes |= activeBit
		}
		part.Spec.Syslinux = name == a.Install && a.Install != ""
		for _, raw := range a.Raw {
			if raw.Partition == name {
				part.Code = &raw
			}
		}
	}
}

// Minimum free space in bytes on a partition that firmware reads: firmware updates are placed there, and firmware writes
// variables and logs. On an ISO, only firmware can write, and only from a USB stick.
const (
	leastRoom = 16 * units.MiB
	roomOnISO = units.MiB
)

// Free space for the kernels and initrds of generations that the running system will add: NixOS keeps several, and copies the
// new ones before it removes old ones.
const (
	laterGenerations   = 4
	roomForGenerations = 256 * units.MiB
)

// room returns the free space of a partition of boot files if neither size nor free is given: as much as the boot files take,
// so that a second generation of kernel and initrd fits beside the running one; for generations of NixOS more.
func (w world) room(d description.Partition, files []bootloader.File, nixOS bool) int64 {
	kind := partition.TypeName(d.Type.V)
	taken := int64(0)
	for _, f := range files {
		if f.Partition == d.Name.V {
			taken += f.Content.Size()
		}
	}
	switch row := partition.Named(d.Filesystem.V); {
	case !row.Firmware && kind != "xbootldr" || d.Free.Written() || !d.Size.V.Auto:
		return d.Free.V.Bytes
	case kind != "esp" && kind != "xbootldr" && taken == 0:
		return 0
	case w.d.Format.V == description.FormatISO:
		return roomOnISO
	case nixOS:
		return max(laterGenerations*taken, roomForGenerations)
	}
	return max(taken, leastRoom)
}
