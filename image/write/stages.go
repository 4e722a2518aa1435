package write

import (
	"context"
	"errors"

	"imprint/image/plan"
	"imprint/internal/extent"
	"imprint/internal/stream"
	"imprint/internal/verity"
)

// A stage is a part of the disk that is written at a time. What lies in two stages is read in both.
type stage struct {
	regions    []*plan.Region
	raw, table extent.List
}

// stagesOf returns the stages of a layout. There is one, unless hash trees have to be computed from what is written: then what they cover comes
// first, and after it everything that may contain their root hashes.
func stagesOf(p *plan.Plan, l *plan.Layout) []stage {
	if p.Seal == nil {
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

// A sequence writes the stages of a disk.
type sequence struct {
	disk   *stream.Disk
	verify verifier
	plan   *plan.Plan
	layout *plan.Layout
	made   plan.Made

	first *planner
	later *planner // of the second stage; nil if there is none
}

// newSequence plans all stages, so that it is known what will be written to each piece of the disk. The jobs of a later one are not run: its
// contents are not known yet, only where they will lie.
func newSequence(disk *stream.Disk, v verifier, p *plan.Plan, l *plan.Layout, made plan.Made) *sequence {
	s := &sequence{disk: disk, verify: v, plan: p, layout: l, made: made}
	stages := stagesOf(p, l)
	s.first = newPlanner(disk, v, stages[0], disk.Digest)
	if len(stages) > 1 {
		s.later = newPlanner(disk, v, stages[1], stream.NewPieces(l.Size))
		disk.Digest.Add(s.later.expected)
		for _, r := range covered(l) {
			disk.Digest.Keep(r.Offset, r.Size)
		}
	}
	return s
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

// needs returns the bytes that will be written, and those of scratch files of host tools.
func (s *sequence) needs() (total, beside int64) {
	if s.later == nil {
		return s.first.total, s.first.beside
	}
	return s.first.total + s.later.total, max(s.first.beside, s.later.beside)
}

// run writes all stages.
func (s *sequence) run(ctx context.Context) error {
	if err := s.disk.Run(ctx, s.first.jobs); err != nil || s.later == nil {
		return err
	}
	if err := s.seal(ctx); err != nil {
		return err
	}
	later := newPlanner(s.disk, s.verify, split(s.layout)[1], stream.NewPieces(s.layout.Size))
	if !later.expected.Same(s.later.expected) {
		return errors.New("the layout of the disk depends on root hashes")
	}
	return s.disk.Run(ctx, later.jobs)
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
