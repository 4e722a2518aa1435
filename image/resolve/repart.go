package resolve

import (
	"cmp"
	"fmt"
	"slices"

	"imprint/image/plan"
	"imprint/image/trees"
	"imprint/internal/tree"
)

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
