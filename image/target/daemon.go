package target

import (
	"context"
	"errors"
	"fmt"
	"io"

	"imprint/closure"
	"imprint/closure/daemon"
)

// A Daemon is the store of Nix's daemon.
type Daemon struct {
	Client *daemon.Client
	Name   string // in messages
	Flavor closure.Flavor
}

// String returns the name.
func (d *Daemon) String() string { return d.Name }

// Lacking implements [Target]. The paths become temporary roots, so that what is there stays.
func (d *Daemon) Lacking(ctx context.Context, paths []closure.Path) (lacking []closure.Path, err error) {
	texts := make([]string, len(paths))
	for i, p := range paths {
		texts[i] = p.String()
	}
	if err := d.Client.AddTempRoots(ctx, texts); err != nil {
		return nil, d.failed(ctx, err)
	}
	valid, err := d.Client.ValidPaths(ctx, texts)
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	there := map[string]bool{}
	for _, text := range valid {
		there[text] = true
	}
	for _, p := range paths {
		if !there[p.String()] {
			lacking = append(lacking, p)
		}
	}
	return lacking, nil
}

func (d *Daemon) failed(ctx context.Context, err error) error {
	var said *daemon.Error
	if ctx.Err() != nil || !errors.As(err, &said) {
		return err
	}
	return fmt.Errorf("%s: %w", d.Name, err)
}

// Put implements [Target]. Whether the daemon takes items that nobody has signed whom it trusts is for it to decide: it does for trusted users.
func (d *Daemon) Put(ctx context.Context, items []closure.Item, p *Progress) error {
	for _, item := range items {
		info := item.Info
		said := daemon.Info{Deriver: info.Deriver, NARHash: info.NARHash, NARSize: info.NARSize, Sigs: info.Sigs, CA: info.CA}
		for _, r := range info.References {
			said.References = append(said.References, r.String())
		}
		err := d.Client.Add(ctx, info.Path.String(), said, true, func(w io.Writer) error { return archive(ctx, w, item, nil, p) })
		if err != nil {
			return fmt.Errorf("add %v: %w", info.Path, d.failed(ctx, err))
		}
	}
	return nil
}

var _ Target = (*Daemon)(nil)
