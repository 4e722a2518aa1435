package resolve

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/image/trees"
	"imprint/internal/diag"
	"imprint/internal/extent"
	"imprint/internal/processors"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/internal/verity"

	"golang.org/x/sync/errgroup"
)

// maxVerity is the largest partition in bytes that gets a hash tree, which is in memory: 512 MiB of it.
const maxVerity = 64 * units.GiB

// seals are the hash trees of partitions, by the name of what they cover.
type seals map[string]verity.Tree

// sealing makes the plan twice: root hashes are in command lines, and partition UUIDs derive from them, so they are needed before what they
// are hashes of is complete. The first plan has zeros in their place; from it the trees are computed, and the second has them. What the
// trees cover must be the same in both.
func (r *resolved) sealing(ctx context.Context, stated []*trees.Tree) (*plan.Plan, error) {
	r.sealed = seals{}
	first, err := r.complete(ctx, stated)
	if err != nil {
		return nil, err
	}
	before, err := r.covered(first)
	if err != nil {
		return nil, err
	}
	for name, region := range before {
		if r.sealed[name], err = hashTree(ctx, region); err != nil {
			return nil, err
		}
	}
	stated, problems := r.again()
	if err := problems.Err(); err != nil {
		return nil, err
	}
	second, err := r.complete(ctx, stated)
	if err != nil {
		return nil, err
	}
	after, err := r.covered(second)
	if err != nil {
		return nil, err
	}
	return second, r.compare(before, after)
}

// kept is what the second plan begins with, since trees take the nodes that they are made of.
type kept struct {
	hosts host.Inputs
	items []*tree.Node
}

// keep copies the nodes before the first plan is made of them.
func (r *resolved) keep() {
	r.kept.hosts = r.hosts.Clone()
	for _, item := range r.store.items {
		r.kept.items = append(r.kept.items, item.Node)
	}
	r.kept.items = tree.Clone(r.kept.items)
}

// again returns the stated trees anew, from nodes of their own.
func (r *resolved) again() ([]*trees.Tree, diag.List) {
	for key, in := range r.kept.hosts {
		r.hosts[key] = in // boot files, which were found since, stay
	}
	for i, item := range r.store.items {
		item.Node = r.kept.items[i]
	}
	return r.described(r.hosts, r.store)
}

// covered returns the regions that get a hash tree, by the names of their partitions.
func (r *resolved) covered(p *plan.Plan) (map[string]*plan.Region, error) {
	l, err := p.Layout(nil)
	if err != nil {
		return nil, err
	}
	list, problems := map[string]*plan.Region{}, diag.List{}
	for i, region := range l.Regions {
		key := r.d.Partition.Items[i].Verity.Key
		switch {
		case region.Partition.Verity == "":
			continue
		case region.Size > maxVerity:
			problems = append(problems, key.Problem(fmt.Sprintf("the partition has %s, and a hash tree covers %s at most",
				units.FormatBytes(region.Size), units.FormatBytes(maxVerity)), ""))
		case region.Size%verity.BlockSize != 0:
			problems = append(problems, key.Problem(fmt.Sprintf("the partition has %d bytes, which is not a multiple of %d", region.Size, verity.BlockSize), ""))
		}
		list[region.Partition.Spec.Name] = region
	}
	return list, problems.Err()
}

// hashTree computes the tree over a region, of which only the data is read.
func hashTree(ctx context.Context, r *plan.Region) (verity.Tree, error) {
	const piece = 4 * units.MiB
	src, leaves := extent.Flatten(r.Maker), make([]verity.Hash, r.Size/verity.BlockSize)
	zeros := make([]verity.Hash, 1)
	verity.Leaves(make([]byte, verity.BlockSize), zeros)
	for i := range leaves {
		leaves[i] = zeros[0]
	}
	group, failed := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	next := int64(0) // the first byte that no piece has
	for e := range src.Extents(0) {
		for next = max(next, e.Off/piece*piece); next < min(e.End(), r.Size) && failed.Err() == nil; next += piece {
			off := next
			group.Go(func() error {
				data := make([]byte, min(piece, r.Size-off))
				if err := extent.ReadAt(src, data, off); err != nil {
					return err
				}
				verity.Leaves(data, leaves[off/verity.BlockSize:][:len(data)/verity.BlockSize])
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return verity.Tree{}, err
	}
	return verity.NewTree(leaves), ctx.Err()
}

// compare reports partitions that are not the same when their root hash is known. The contents of items and host files are the same values
// in both plans, so only what was made anew is compared.
func (r *resolved) compare(before, after map[string]*plan.Region) error {
	var problems diag.List
	for _, d := range r.d.Partition.Items {
		a, b := before[d.Name.V], after[d.Name.V]
		if a == nil {
			continue
		}
		same, err := equal(extent.Flatten(a.Maker), extent.Flatten(b.Maker))
		if err != nil {
			return err
		}
		if !same || a.Size != b.Size {
			problems = append(problems, d.Verity.Key.Problem("the content of the partition depends on its own root hash, or on a partition UUID that derives from one",
				"remove the substitution or fstab from it, or write a partuuid for the partition and for that of its hash tree"))
		}
	}
	return problems.Err()
}

// equal reports whether two sources have the same bytes in the same extents.
func equal(a, b extent.Source) (bool, error) {
	next, stop := iter.Pull(b.Extents(0))
	defer stop()
	for e := range a.Extents(0) {
		f, ok := next()
		if !ok || e.Off != f.Off || e.Len != f.Len || e.At != f.At {
			return false, nil
		}
		if e.Blob == f.Blob {
			continue
		}
		same, err := sameBytes(e, f)
		if err != nil || !same {
			return false, err
		}
	}
	_, more := next()
	return !more, nil
}

// sameBytes compares two extents of one length.
func sameBytes(a, b extent.Extent) (bool, error) {
	const piece = units.MiB
	for done := int64(0); done < a.Len; done += piece {
		one, two := make([]byte, min(piece, a.Len-done)), make([]byte, min(piece, a.Len-done))
		for _, half := range []struct {
			e extent.Extent
			p []byte
		}{{a, one}, {b, two}} {
			if err := extent.ReadAt(extent.List{half.e}, half.p, half.e.Off+done); err != nil {
				return false, err
			}
		}
		if !bytes.Equal(one, two) {
			return false, nil
		}
	}
	return true, nil
}

// put adds what is known of the trees to a plan: root hashes, the partition UUIDs that derive from them (Discoverable Partitions Specification:
// the first half is that of the data, the second that of the tree), and the trees themselves. Before they are known, all are zeros.
func (s seals) put(p *plan.Plan, d *description.Image) {
	for i, part := range p.Partitions {
		if part.Verity == "" {
			continue
		}
		t, known := s[part.Spec.Name]
		part.RootHash = hex.EncodeToString(t.Root[:])
		target := p.Find(part.Verity)
		if !known {
			target.Spec.Content = tree.Text(string(make([]byte, verity.BlockSize)))
			continue
		}
		target.Spec.Content = tree.Text(string(t.Device(target.Spec.UUID)))
		at := slices.Index(p.Partitions, target)
		part.PartUUID = given(d.Partition.Items[i].PartUUID.V, repro.UUID(t.Root[:16]))
		target.PartUUID = given(d.Partition.Items[at].PartUUID.V, repro.UUID(t.Root[16:]))
	}
}
