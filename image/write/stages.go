package write

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"imprint/image/plan"
	"imprint/image/seal"
	"imprint/internal/extent"
	"imprint/internal/stream"
	"imprint/internal/verity"
)

// A stage is a part of the disk that is written at a time. What lies in two stages is read in both.
type stage struct {
	regions    []*plan.Region
	raw, table extent.List
}

// stages returns the stages of a layout. There is one, unless hash trees have to be computed from what is written to a disk: then what they cover
// comes first, and after it everything that may contain their root hashes.
func (o Options) stages(p *plan.Plan, l *plan.Layout) []stage {
	if p.Seal == nil || o.noDisk() {
		return []stage{whole(l)}
	}
	return split(l)
}

// split returns what hash trees cover, and everything else.
func split(l *plan.Layout) []stage {
	covered, rest := stage{}, stage{raw: l.Raw, table: l.Table}
	for _, r := range l.Regions {
		if l.Covers(r) {
			covered.regions = append(covered.regions, r)
		} else {
			rest.regions = append(rest.regions, r)
		}
	}
	return []stage{covered, rest}
}

// whole is a layout as one stage.
func whole(l *plan.Layout) stage { return stage{l.Regions, l.Raw, l.Table} }

// sealFirst adds hash trees to a plan before anything is written, if the disk is not written before what contains root hashes is: archives, and
// boot files beside them.
func (o Options) sealFirst(ctx context.Context, p *plan.Plan, l *plan.Layout) (*plan.Plan, *plan.Layout, error) {
	late := func(r *plan.Region) bool { return o.archives(r) && !l.Covers(r) }
	if p.Seal == nil || !(o.noDisk() && o.Export) && !slices.ContainsFunc(l.Regions, late) {
		return p, l, nil
	}
	for _, r := range l.Regions {
		if l.Covers(r) && r.MadeByHost() {
			return nil, nil, fmt.Errorf("an archive of a partition that has no hash tree would be written before that of %q is known, which a host tool makes", r.Partition.Spec.Name)
		}
	}
	trees, err := seal.Trees(ctx, l, nil)
	if err != nil {
		return nil, nil, err
	}
	return sealed(ctx, p, trees, nil)
}

// A sequence writes the stages of a disk.
type sequence struct {
	planner // what all stages have
	plan    *plan.Plan
	layout  *plan.Layout
	made    plan.Made

	first *planner
	later *stream.Pieces // what later stages will write; nil if there are none
}

// newSequence plans all stages, so that it is known what will be written to each piece of the disk. The jobs of a later one are not run: its
// contents are not known yet, only where they will lie.
func newSequence(p planner, stages []stage, whole *plan.Plan, l *plan.Layout, made plan.Made) *sequence {
	s := &sequence{planner: p, plan: whole, layout: l, made: made, first: newPlanner(p, stages[0])}
	if len(stages) == 1 {
		return s
	}
	later := s.last(l)
	s.first.total, s.first.beside = s.first.total+later.total, max(s.first.beside, later.beside)
	for v, n := range later.sizes {
		s.first.sizes[v] += n
	}
	s.later = later.told.Digest
	p.disk.Digest.Add(s.later)
	for _, r := range covered(l) {
		p.disk.Digest.Keep(r.Offset, r.Size)
	}
	return s
}

// last plans the last stage, and counts what it will write apart.
func (s *sequence) last(l *plan.Layout) *planner {
	p := s.planner
	p.told = &stream.Disk{Volume: stream.Volume{Size: l.Size, Digest: stream.NewPieces(l.Size)}}
	return newPlanner(p, split(l)[1])
}

// covered returns the regions that have hash trees.
func covered(l *plan.Layout) (list []*plan.Region) {
	for _, r := range l.Regions {
		if r.Partition.Verity != "" {
			list = append(list, r)
		}
	}
	return list
}

// run writes all stages.
func (s *sequence) run(ctx context.Context) error {
	if err := s.disk.Run(ctx, s.first.jobs); err != nil || s.later == nil {
		return err
	}
	if err := s.seal(ctx); err != nil {
		return err
	}
	last := s.last(s.layout)
	if !last.told.Digest.Same(s.later) {
		return errors.New("the layout of the disk depends on root hashes")
	}
	return s.disk.Run(ctx, last.jobs)
}

// seal replaces plan and layout by those with hash trees.
func (s *sequence) seal(ctx context.Context) (err error) {
	trees := map[string]verity.Tree{}
	for _, r := range covered(s.layout) {
		leaves, err := s.disk.Digest.Leaves(r.Offset, r.Size, s.disk.File)
		if err != nil {
			return err
		}
		trees[r.Partition.Spec.Name] = verity.NewTree(leaves)
	}
	s.plan, s.layout, err = sealed(ctx, s.plan, trees, s.made)
	return err
}

// sealed returns a plan with its hash trees and its layout with the file systems that are made.
func sealed(ctx context.Context, p *plan.Plan, trees map[string]verity.Tree, made plan.Made) (*plan.Plan, *plan.Layout, error) {
	p, err := p.Seal(ctx, trees)
	if err != nil {
		return nil, nil, err
	}
	same := plan.Made{}
	for part, b := range made {
		same[p.Find(part.Spec.Name)] = b
	}
	l, err := p.Layout(same)
	return p, l, err
}
