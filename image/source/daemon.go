package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"imprint/closure"
	"imprint/closure/daemon"
	"imprint/closure/db"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// A Daemon is the store of Nix's daemon. Every item that was looked up is a temporary root until Close, so that no garbage collection takes it. Items are
// read where they are, if the daemon's store directory is on this machine and can be read; otherwise they can be read after [Realise], which asks the daemon
// for their archives.
type Daemon struct {
	DaemonOptions
	client *daemon.Client
	prefix string // of the store directory, if that is known
	known  bool
	kept   *cas.Store

	mu      sync.Mutex
	fetched map[closure.Path]tree.Blob
}

// DaemonOptions describe a daemon.
type DaemonOptions struct {
	Socket string // path; "" for that of the machine's own store
	Flavor closure.Flavor
	Keep   string // directory of the build store, which keeps archives
	Read   closure.ReadFunc
}

// OpenDaemon connects to a daemon.
func OpenDaemon(ctx context.Context, o DaemonOptions) (*Daemon, error) {
	d := &Daemon{DaemonOptions: o, fetched: map[closure.Path]tree.Blob{}}
	if d.Socket == "" {
		d.Socket = o.Flavor.StateDir + daemon.Socket
	}
	d.prefix, d.known = strings.CutSuffix(d.Socket, o.Flavor.StateDir+daemon.Socket)
	var err error
	if d.client, err = daemon.Dial(ctx, d.Socket); errors.Is(err, fs.ErrNotExist) {
		return nil, &InvalidError{d, "there is no socket", "start nix-daemon, or name its socket: unix:///PATH"}
	}
	return d, err
}

// String returns the name of the daemon in messages.
func (d *Daemon) String() string { return "daemon at " + d.Socket }

// Close ends the connection, and the temporary roots.
func (d *Daemon) Close() error { return d.client.Close() }

// Info implements [closure.Store]. The path becomes a temporary root first: what is valid then stays so.
func (d *Daemon) Info(ctx context.Context, p closure.Path) (*closure.Info, error) {
	if err := d.client.AddTempRoot(ctx, p.String()); err != nil {
		return nil, d.failed(ctx, err)
	}
	said, err := d.client.PathInfo(ctx, p.String())
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	if said == nil {
		return nil, fmt.Errorf("%s: %w", p, closure.ErrNotFound)
	}
	row := &db.Item{
		Path: p.String(), NARHash: said.NARHash, NARSize: said.NARSize, Deriver: said.Deriver, CA: said.CA,
		Sigs: slices.Sorted(slices.Values(said.Sigs)), References: slices.Compact(slices.Sorted(slices.Values(said.References))),
	}
	info, err := d.Flavor.Registered(p, row)
	if err != nil {
		return nil, &InvalidError{Source: d, Text: fmt.Sprintf("%v: %v", p, err)}
	}
	if p.IsDerivation() && d.direct(p) {
		err = d.outputs(ctx, info)
	}
	return info, err
}

// failed returns an error of the connection, with its name.
func (d *Daemon) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%v: %w", d, err)
}

// Paths returns every valid path, by name.
func (d *Daemon) Paths(ctx context.Context) ([]closure.Path, error) {
	texts, err := d.client.AllPaths(ctx)
	if err != nil {
		return nil, d.failed(ctx, err)
	}
	paths := make([]closure.Path, len(texts))
	for i, text := range texts {
		if paths[i], err = d.Flavor.ParsePath(text); err != nil {
			return nil, &InvalidError{Source: d, Text: err.Error()}
		}
	}
	slices.SortFunc(paths, closure.Path.Compare)
	return paths, nil
}

// direct reports whether an item can be read where it is.
func (d *Daemon) direct(p closure.Path) bool {
	if !d.known || d.Read == nil {
		return false
	}
	_, err := os.Lstat(d.prefix + p.String())
	return err == nil
}

// Prefix returns the path before the store directory on this machine, "" if it is not known.
func (d *Daemon) Prefix() string { return d.prefix }

// Item implements [closure.Store].
func (d *Daemon) Item(_ context.Context, p closure.Path) (*tree.Node, error) {
	d.mu.Lock()
	b := d.fetched[p]
	d.mu.Unlock()
	if b == nil {
		n, err := d.Read(d.prefix + p.String())
		if err == nil {
			n, err = closure.Canonical(p.Base(), n)
		}
		return n, err
	}
	n, err := indexed(b)
	if err != nil {
		return nil, &InvalidError{Source: d, Text: fmt.Sprintf("the archive of %v is %v", p, err)}
	}
	n.Name = p.Base()
	return n, nil
}

// realise implements realiser.
func (d *Daemon) realise(ctx context.Context, items []*closure.Info, report Report) error {
	var rest []*closure.Info
	now := &Fetch{From: d}
	for _, info := range items {
		if !d.direct(info.Path) {
			rest = append(rest, info)
			now.Total += info.NARSize
		}
	}
	if len(rest) == 0 {
		return nil
	}
	if d.Keep == "" {
		return &InvalidError{d, "its store cannot be read here, and there is no directory to keep what it sends", "name one (--build-store DIR), or set XDG_CACHE_HOME or HOME"}
	}
	var err error
	if d.kept, err = cas.Open(d.Keep); err != nil {
		return fmt.Errorf("open the build store: %w", err)
	}
	if now.Items = len(rest); report != nil {
		report(now)
	}
	for _, info := range rest {
		if err := d.fetch(ctx, info, now); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets the archive of an item from the build store, or from the daemon.
func (d *Daemon) fetch(ctx context.Context, info *closure.Info, now *Fetch) error {
	b, err := d.kept.Add(ctx, info.NARHash, info.NARSize, func(w io.Writer) error {
		return d.client.Archive(ctx, info.Path.String(), info.NARSize, &noting{w: w, n: &now.done})
	})
	if err != nil {
		return fmt.Errorf("%v from %v: %w", info.Path, d, err)
	}
	d.mu.Lock()
	d.fetched[info.Path] = b
	d.mu.Unlock()
	return d.outputs(ctx, info)
}

// outputs fills in the outputs of a derivation.
func (d *Daemon) outputs(ctx context.Context, info *closure.Info) error {
	if !info.Path.IsDerivation() {
		return nil
	}
	n, err := d.Item(ctx, info.Path)
	if err != nil {
		return err
	}
	if info.Outputs, err = d.Flavor.Outputs(n); err != nil {
		return &InvalidError{Source: d, Text: fmt.Sprintf("derivation %v: %v", info.Path, err)}
	}
	return nil
}
