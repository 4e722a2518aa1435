package resolve

import (
	"context"

	"imprint/bootloader"
	"imprint/image/description"
	"imprint/image/plan"
	"imprint/internal/diag"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition"
)

// install asks the loader what it puts where, once all identifiers are chosen. Codes and contents at fixed offsets go into the plan; the
// files that belong on partitions are returned.
func (w world) install(ctx context.Context, p *plan.Plan, hosts hosts, store *store, boot *boot) ([]bootloader.File, error) {
	var problems diag.List
	c := bootloader.Config{
		Machine: boot.machine, Inputs: boot.inputs, Timeout: w.d.Boot.Timeout.V, Console: texts(w.d.Boot.Console),
		CopyKernel: w.d.Boot.CopyKernel.V,
	}
	for i, part := range p.Partitions {
		c.Partitions[i].VolumeID = part.VolumeID()
	}
	c.Entries, c.Default = w.entries(p, store, boot, &problems)
	c.Signer = w.signer(hosts, &problems)
	p.Entries, p.DefaultEntry, p.BootInputs = c.Entries, c.Default, boot.read
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

// entries are the boot entries with their command lines complete, and which one boots by itself.
func (w world) entries(p *plan.Plan, store *store, boot *boot, problems *diag.List) (list []bootloader.Entry, first int) {
	refer := w.reference(p, store)
	for i, e := range boot.entries {
		e.Cmdline = bootloader.Cmdline(e.cmdline.V.Expand(refer), texts(w.d.Boot.Console), w.rootWords())
		if err := boot.loader.CheckCmdline(w.d.Arch.V, e.Cmdline); err != nil {
			*problems = append(*problems, e.cmdline.Key.Problem(err.Error(),
				"with what stands for substitutions, and the words that all entries have, it is\n"+e.Cmdline))
		}
		list = append(list, e.Entry)
		if e.Title == w.d.Boot.Default.V {
			first = i
		}
	}
	return list, first
}

// rootWords are the words of a command line by which an initrd knows how to mount the root file system, besides root=.
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

// reference is what a substitution stands for, once all identifiers are chosen.
func (w world) reference(p *plan.Plan, store *store) func(description.Reference) string {
	return func(ref description.Reference) string {
		switch ref.Kind {
		case "disk":
			return p.DiskID()
		case "iso":
			return field(p.WholeDisk(), ref.Field)
		case "partition":
			return field(p.Find(ref.Name), ref.Field)
		}
		return store.closureReference(ref)
	}
}

// field is what "${partition.NAME.FIELD}" stands for.
func field(p *plan.Partition, name string) string {
	switch {
	case p == nil:
		return ""
	case name == "partuuid":
		return p.PartUUIDText()
	case name == "label":
		return p.Spec.Label
	}
	return p.VolumeID()
}

// signer reads the key and the certificate that the description names; nil when it names none, or when there is a problem.
func (w world) signer(hosts hosts, problems *diag.List) *bootloader.Signer {
	b := w.d.Boot
	if hosts[b.SignKey.Key] == nil || hosts[b.SignCert.Key] == nil {
		return nil
	}
	key, err := bootloader.ReadKey(hosts[b.SignKey.Key].blob)
	if err != nil {
		*problems = append(*problems, b.SignKey.Key.ProblemOf(err))
		return nil
	}
	signer, err := bootloader.NewSigner(key, hosts[b.SignCert.Key].blob)
	if err != nil {
		*problems = append(*problems, b.SignCert.Key.ProblemOf(err))
	}
	return signer
}

// pinFiles pins contents that are put together of several, so that a change of one of them is found when they are written.
func pinFiles(ctx context.Context, files []bootloader.File) error {
	pinned := map[tree.Blob]tree.Blob{}
	for i, f := range files {
		if !tree.Composed(f.Content) {
			continue
		}
		if pinned[f.Content] == nil {
			b, err := pin(ctx, f.Content)
			if err != nil {
				return err
			}
			pinned[f.Content] = b
		}
		files[i].Content = pinned[f.Content]
	}
	return nil
}

// activeBit is the attribute of a GPT entry that a BIOS, or a loader in its place, boots from (UEFI 2.10, table 5.8).
const activeBit = 1 << 2

// place keeps in the plan what the loader puts at fixed offsets, and on which partition it starts.
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
		if part.Active = name == a.Active && a.Active != ""; part.Active && p.Table == partition.GPT {
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

// What stays free in a partition that firmware reads, in bytes: updates of firmware are put there for it, and it writes its variables and
// logs. To an ISO on a USB stick firmware alone writes.
const (
	leastRoom = 16 * units.MiB
	roomOnISO = units.MiB
)

// room is what a partition of boot files has free where the description leaves size and free space open: as much as the loader's files take
// on it, so that a second generation of kernel and initrd can be put beside the first, which may be running.
func (w world) room(d description.Partition, files []bootloader.File) int64 {
	kind := partition.TypeName(d.Type.V)
	taken := int64(0)
	for _, f := range files {
		if f.Partition == d.Name.V {
			taken += f.Content.Size()
		}
	}
	switch row := partition.Named(d.Filesystem.V); {
	case !row.Firmware || d.Free.Written() || !d.Size.V.Auto:
		return d.Free.V.Bytes
	case kind != "esp" && kind != "xbootldr" && taken == 0:
		return 0
	case w.d.Format.V == description.FormatISO:
		return roomOnISO
	}
	return max(taken, leastRoom)
}
