package resolve

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/image/closures"
	"imprint/image/description"
	"imprint/image/host"
	"imprint/image/plan"
	"imprint/image/seal"
	"imprint/internal/repro"
	"imprint/internal/tree"
	"imprint/internal/verity"
	"imprint/partition"
)

// A sealing makes a plan twice: root hashes are in command lines, and partition UUIDs derive from them, so they are needed before anything
// that contains them is complete, and they follow from what is written. The first plan has zeros in their place, of the same length. What hash
// trees cover contains none of them, so it can be written from the first plan, and the second plan has the same trees there.
type sealing struct {
	roots map[string]verity.Tree // by the names of what they cover; nil in the first plan
	first *plan.Plan
	files []bootloader.File // of the first plan
	late  map[string]bool   // the partitions that contain a root hash, or what derives from one

	hosts host.Inputs        // nodes for the trees that are made again, since trees take the nodes that they are made of
	items map[int]*tree.Node // likewise of store items, by index
}

// isSealed reports whether a hash tree covers the partition, or one that it is a file of.
func (w world) isSealed(d *description.Partition) bool {
	for range w.d.Partition.Items {
		if outer := w.around(d); outer != nil {
			d = outer
		}
	}
	return d.Verity.V != ""
}

// around returns the partition that another one is a file of, nil if it is none.
func (w world) around(d *description.Partition) *description.Partition {
	for i := range w.d.Partition.Items {
		if outer := &w.d.Partition.Items[i]; d.Inside.V != "" && outer.Name.V == d.Inside.V {
			return outer
		}
	}
	return nil
}

// packs reports whether the partition becomes a file before the disk is written, which a host tool makes or gets.
func (w world) packs(d *description.Partition) bool {
	outer := w.around(d)
	return partition.Named(d.Filesystem.V).Packed || outer != nil && (byTool(outer) || w.packs(outer))
}

// byTool reports whether a host tool makes the partition.
func byTool(d *description.Partition) bool {
	row := partition.Named(d.Filesystem.V)
	return row.Packed || d.Engine.V != "" && d.Engine.V != row.DefaultEngine()
}

// isLate reports whether the partition, or one that is a file of it, contains a root hash.
func (w world) isLate(d *description.Partition) bool {
	return w.sealing.late[d.Name.V] || slices.ContainsFunc(w.d.Partition.Items, func(inner description.Partition) bool {
		return inner.Inside.V == d.Name.V && w.isLate(&inner)
	})
}

// stays reports whether the partition is the same in the second plan.
func (w world) stays(d *description.Partition) bool {
	return w.isSealed(d) || w.packs(d) && !w.isLate(d)
}

// keep copies the nodes of the trees that may be made again.
func (r *resolved) keep() {
	s := r.sealing
	for i := range r.d.Partition.Items {
		d := &r.d.Partition.Items[i]
		if r.isSealed(d) {
			continue
		}
		for key, in := range r.hosts {
			if strings.HasPrefix(key.Path, d.Key.Path+".") {
				s.hosts[key] = in
			}
		}
		for at, item := range r.store.ItemsAt(d) {
			s.items[at] = item.Node
		}
	}
	s.hosts = s.hosts.Clone()
	for at, n := range s.items {
		s.items[at] = tree.Clone([]*tree.Node{n})[0]
	}
}

// sealed returns the first plan with its hash trees. If a build will find them, it gets a function that adds them instead. What cannot have a
// tree is reported now.
func (r *resolved) sealed(ctx context.Context, first *plan.Plan) (*plan.Plan, error) {
	r.sealing.first = first
	if err := r.bootFilesLate(ctx); err != nil {
		return nil, err
	}
	readable := !slices.ContainsFunc(r.d.Partition.Items, func(d description.Partition) bool { return r.isSealed(&d) && byTool(&d) })
	problems, packed := r.circles(readable)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if !readable || r.in.SealLater && !packed {
		first.Seal = r.seal
		return first, nil
	}
	l, err := first.Layout(nil)
	if err != nil {
		return nil, err
	}
	roots, err := seal.Trees(ctx, l, nil)
	if err != nil {
		return nil, err
	}
	return r.seal(ctx, roots)
}

// seal makes the second plan.
func (r *resolved) seal(ctx context.Context, roots map[string]verity.Tree) (*plan.Plan, error) {
	s := r.sealing
	s.roots = roots
	maps.Copy(r.hosts, s.hosts) // boot files, which were found since, stay
	old := r.store
	r.store = &closures.Union{}
	*r.store = *old
	r.store.Items = slices.Clone(old.Items)
	for i := range r.d.Partition.Items {
		if d := &r.d.Partition.Items[i]; !r.stays(d) {
			for at, item := range old.ItemsAt(d) {
				r.store.Items[at] = &plan.Item{Info: item.Info, Node: s.items[at]}
			}
		}
	}
	stated, problems := r.described(r.hosts, r.store)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	p, err := r.complete(ctx, stated)
	if err != nil {
		return nil, err
	}
	p.Warnings, p.Inputs, p.Bases = s.first.Warnings, s.first.Inputs, s.first.Bases
	return p, nil
}

// put adds what is known of hash trees to a plan: root hashes, the trees, and the partition UUIDs that derive from them (Discoverable Partitions
// Specification: the first half is that of the data, the second that of the tree). Before they are known, root hashes are zeros.
func (w world) put(p *plan.Plan) {
	for i, part := range p.Partitions {
		if part.Verity == "" {
			continue
		}
		at := slices.IndexFunc(p.Partitions, func(q *plan.Partition) bool { return q.Spec.Name == part.Verity })
		target, own, its := p.Partitions[at], w.d.Partition.Items[i].PartUUID.V, w.d.Partition.Items[at].PartUUID.V
		t, known := w.sealing.roots[part.Spec.Name]
		part.RootHash = hex.EncodeToString(t.Root[:])
		if !known {
			part.Late, target.Late = own == "", its == ""
			continue
		}
		part.Sealed = &t
		part.PartUUID, target.PartUUID = given(own, repro.UUID(t.Root[:16])), given(its, repro.UUID(t.Root[16:]))
	}
}

// derives notes that a partition contains what a reference stands for, if that derives from a root hash that is not known.
func (w world) derives(in string, p *plan.Plan, ref description.Reference) {
	if w.sealing == nil || w.sealing.roots != nil || ref.Kind != "partition" {
		return
	}
	if part := p.Find(ref.Name); ref.Field == "roothash" || ref.Field == "partuuid" && part != nil && part.Late {
		w.sealing.late[in] = true
	}
}
