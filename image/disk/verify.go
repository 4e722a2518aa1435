package disk

import (
	"context"
	"errors"
	"fmt"

	"imprint/closure"
	"imprint/internal/fault"
)

// A Fault is one that lies in a region, or in the partition table.
type Fault struct {
	Region string // "" for the table
	fault.Fault
}

// String is the fault in one line.
func (f Fault) String() string {
	if f.Region == "" {
		return f.Fault.String()
	}
	return f.Region + ": " + f.Fault.String()
}

// Verify reads all structure of the disk, and the contents of all stores in it, and reports every fault: of the partition table, of each file
// system, of each store against its database, and of boot menus whose files are not there. Offsets are those of the region. An error means
// that reading itself failed.
func (d *Disk) Verify(ctx context.Context, report func(Fault)) error {
	for _, f := range d.faults {
		report(Fault{Fault: f})
	}
	for _, r := range d.Regions {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.verify(ctx, r, func(f fault.Fault) { report(Fault{r.String(), f}) }); err != nil {
			return fmt.Errorf("verify %v: %w", r, err)
		}
	}
	return nil
}

func (d *Disk) verify(ctx context.Context, r *Region, report fault.Report) error {
	if r.Err != nil {
		report(fault.Fault{Offset: -1, Object: r.Kind, Text: r.Err.Error()})
	}
	if r.Volume == nil {
		return nil
	}
	var list []fault.Fault
	done := make(chan struct{})
	go func() { // beside the check, which is one goroutine's work
		defer close(done)
		list = r.verifyStore(ctx)
	}()
	r.Volume.Check(report)
	d.menus(r, report)
	<-done
	for _, f := range list {
		report(f)
	}
	return ctx.Err()
}

// verifyStore returns the faults of the store in a region, if there is one.
func (r *Region) verifyStore(ctx context.Context) (list []fault.Fault) {
	unreadable := func(err error) []fault.Fault {
		return append(list, fault.Fault{Offset: -1, Object: "store database", Text: err.Error()})
	}
	store, err := r.Store(ctx)
	if errors.Is(err, closure.ErrNoStore) {
		return nil
	}
	if err != nil {
		return unreadable(err)
	}
	defer store.Close()
	if err := store.Verify(ctx, func(f fault.Fault) { list = append(list, f) }); err != nil {
		return unreadable(err)
	}
	closure.SortFaults(list)
	return list
}

// Store opens the store in a region. The error is [closure.ErrNoStore] when there is none.
func (r *Region) Store(ctx context.Context) (*closure.TreeStore, error) {
	if r.Volume == nil {
		return nil, closure.ErrNoStore
	}
	return closure.OpenTree(ctx, r.Volume.Tree, closure.Nix)
}
