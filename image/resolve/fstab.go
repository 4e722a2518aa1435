package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprint/image/description"
	"imprint/image/plan"
	"imprint/image/trees"
	"imprint/internal/diag"
	"imprint/internal/fstab"
	"imprint/internal/tree"
	"imprint/partition"
)

const fstabPath = "/etc/fstab"

// fstab adds the table of what the running system mounts, and the directories where it mounts that.
func (t *treeFiller) fstab() {
	key := t.d.FStab.Key
	if !t.d.FStab.V || !t.mayReplaceTable(key) {
		return
	}
	var entries []fstab.Entry
	for i := range t.plan.Partitions {
		if e, ok := t.mount(i); ok {
			t.derives(t.d.Name.V, t.plan, description.Reference{Kind: "partition", Name: t.plan.Partitions[i].Spec.Name, Field: "partuuid"})
			entries = append(entries, withStore(e, &t.world.d.Partition.Items[i]))
			t.mountPoint(key, e.Target)
		}
	}
	t.Keys[key.Path] = key
	content := tree.Text(fstab.Text(entries))
	if err := t.Overlay(fstabPath, tree.NewFile("", trees.AttrsAt(t.epoch).File, content), key.Path); err != nil {
		t.problems = append(t.problems, key.Problem(err.Error(), ""))
	}
}

// maxTable is the size in bytes up to which a table in the tree is looked at; a larger one has entries.
const maxTable = 1 << 20

// mayReplaceTable reports whether the tree has no table yet, or one without entries, as distributions install it.
func (t *treeFiller) mayReplaceTable(key diag.Key) bool {
	n, _ := t.Follow(fstabPath)
	if n == nil {
		return true
	}
	if n.Kind() == tree.File && n.Size() <= maxTable {
		text, err := tree.ReadAll(n.Blob(), maxTable)
		if err == nil && fstab.IsEmpty(string(text)) {
			return true
		}
	}
	t.problems = append(t.problems, key.Problem("the tree has "+fstabPath+" already, with entries",
		fmt.Sprintf("add exclude = [%q] to the [[partition.tree]] that it is from, or remove fstab", fstabPath)))
	return false
}

// mount returns the entry of a partition; ok is false if nothing says where it is mounted.
func (t *treeFiller) mount(i int) (e fstab.Entry, ok bool) {
	d, part := &t.world.d.Partition.Items[i], t.plan.Partitions[i]
	e.Source = "PARTUUID=" + part.PartUUIDText()
	row := partition.Named(d.Filesystem.V)
	switch at := t.world.d.MountPoint(d); {
	case part.Inside != "" && part != t.part || part.Inside == "" && row.WholeDisk:
		return e, false
	case row.Swap || row.Raw && partition.IsSwap(d.Type.V):
		e.Target, e.Type, e.Options = "none", "swap", "sw"
		return e, true
	case at == "" || row.MountType == "":
		return e, false
	case !row.Writable:
		e.Target, e.Type, e.Options = at, row.MountType, "ro"
		return e, part.Inside == ""
	default:
		e.Target, e.Type, e.Options, e.Pass = at, row.MountType, row.MountOptions, 2
		if part == t.part {
			e.Pass = 1
		}
		if row.Firmware && partition.MountPoint(d.Type.V) == "" { // not for boot files, which are root's alone
			e.Options = ""
		}
		return e, true
	}
}

// storeMount adds the directory in the root file system where a partition that has the store for itself is mounted.
func (t *treeFiller) storeMount() {
	if root := t.world.d.Root(); root == nil || root.Name.V != t.d.Name.V {
		return
	}
	for _, d := range t.world.d.Partition.Items {
		if at := d.StoreMount(); at != "" {
			t.Keys[d.Mount.Key.Path] = d.Mount.Key
			t.mountPoint(d.Mount.Key, at)
		}
	}
}

// inInitrd is the option by which systemd's initrd mounts a partition before it starts init, which is in the store (systemd.mount(5)).
const inInitrd = "x-initrd.mount"

// withStore adds that option to the entry of a partition that has the store for itself.
func withStore(e fstab.Entry, d *description.Partition) fstab.Entry {
	if d.StoreMount() != "" {
		e.Options = strings.TrimPrefix(e.Options+","+inInitrd, ",")
	}
	return e
}

// mountPoint adds the directory where a partition is mounted, unless the tree has one.
func (t *treeFiller) mountPoint(key diag.Key, at string) {
	if n, _ := t.Follow(at); at == "none" || n != nil && n.Kind() == tree.Dir {
		return
	}
	if err := t.Overlay(at, tree.NewDir("", trees.AttrsAt(t.epoch).Dir, nil), key.Path); err != nil {
		t.problems = append(t.problems, key.Problem(fmt.Sprintf("%s, where a partition is mounted: %v", at, err), ""))
	}
}

// repartDir is where systemd-repart finds definitions of partitions, in the initrd below /sysroot (repart.d(5)).
const repartDir = "/etc/repart.d"

// repart adds, to the partition that is mounted as root, the definition by which systemd-repart enlarges a partition to the end of the disk.
// systemd-repart takes definitions and partitions of one type in their order, so all of that type get one; the others take no room.
func (t *treeFiller) repart() {
	root := t.world.d.Root()
	if root == nil || root.Name.V != t.d.Name.V {
		return
	}
	for i, d := range t.world.d.Partition.Items {
		if !d.GrowAtBoot.V {
			continue
		}
		grown := t.plan.Partitions[i]
		for _, part := range t.sameType(grown) {
			text := fmt.Sprintf("# grow-at-boot of the image's description\n[Partition]\nType=%v\n", part.TypeGUID)
			if part != grown {
				text += "Weight=0\n"
			}
			key := d.GrowAtBoot.Key
			t.Keys[key.Path] = key
			path := fmt.Sprintf("%s/%03d-imprint.conf", repartDir, part.Number)
			if err := t.Overlay(path, tree.NewFile("", trees.AttrsAt(t.epoch).File, tree.Text(text)), key.Path); err != nil {
				t.problems = append(t.problems, key.Problem(err.Error(), ""))
			}
		}
	}
}

// sameType returns the partitions with the type of one, in the order of their numbers.
func (t *treeFiller) sameType(as *plan.Partition) (list []*plan.Partition) {
	for _, part := range t.plan.Partitions {
		if part.Inside == "" && part.TypeGUID == as.TypeGUID {
			list = append(list, part)
		}
	}
	slices.SortFunc(list, func(a, b *plan.Partition) int { return cmp.Compare(a.Number, b.Number) })
	return list
}
