package disk

import (
	"context"
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
	return d.hashTrees(ctx, report)
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
		list = r.verifyStores(ctx)
	}()
	r.Volume.Check(report)
	d.menus(r, report)
	<-done
	for _, f := range list {
		report(f)
	}
	return ctx.Err()
}

// verifyStores returns the faults of the stores in a region.
func (r *Region) verifyStores(ctx context.Context) (list []fault.Fault) {
	stores, err := r.Stores(ctx)
	if err != nil {
		list = append(list, fault.Fault{Offset: -1, Object: "store database", Text: err.Error()})
	}
	for _, store := range stores {
		list = append(list, verifyStore(ctx, store)...)
		store.Close()
	}
	return list
}

func verifyStore(ctx context.Context, store *closure.TreeStore) (list []fault.Fault) {
	if err := store.Verify(ctx, func(f fault.Fault) { list = append(list, f) }); err != nil {
		return append(list, fault.Fault{Offset: -1, Object: "store database", Text: err.Error()})
	}
	closure.SortFaults(list)
	return list
}

// Has reports whether the region has a store of a flavor.
func (r *Region) Has(f closure.Flavor) bool {
	if r.Volume == nil {
		return false
	}
	_, ok := closure.InTree(r.Volume.Tree, f)
	return ok
}

// Stores opens the stores in a region: none, one, or one of each flavor. The error is about damaged ones.
func (r *Region) Stores(ctx context.Context) ([]*closure.TreeStore, error) {
	if r.Volume == nil {
		return nil, nil
	}
	return closure.OpenTrees(ctx, r.Volume.Tree)
}
