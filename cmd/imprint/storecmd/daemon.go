package storecmd

import (
	"cmp"
	"context"
	"errors"
	"io"

	"imprint/closure"
	"imprint/closure/daemon"
	"imprint/image/source"
	"imprint/image/target"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// isDaemon reports whether a store is a daemon.
func isDaemon(text string) bool {
	_, ok, _ := daemon.Address(text)
	return ok
}

func (m *commands) openDaemon(ctx context.Context, text string, f closure.Flavor) (*place, error) {
	socket, _, err := daemon.Address(text)
	if err != nil {
		return nil, m.Usage(err)
	}
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	d, err := source.OpenDaemon(ctx, source.DaemonOptions{
		Socket: socket, Flavor: f, Keep: m.StoreDir(), Read: (&hosttree.Scanner{Attr: canonical, FilesOnly: true}).Read,
	})
	if err != nil {
		return nil, err
	}
	return &place{Store: d, kind: daemonKind, prefix: d.Prefix(), list: d, closes: []io.Closer{d}}, nil
}

func (m *commands) daemonSink(ctx context.Context, to string, f closure.Flavor) (*sink, error) {
	at, _, err := daemon.Address(to)
	if err != nil {
		return nil, m.Usage(err)
	}
	c, err := daemon.Dial(ctx, cmp.Or(at, f.StateDir+daemon.Socket))
	if err != nil {
		return nil, err
	}
	return &sink{&target.Daemon{Client: c, Name: to, Flavor: f}, func(err error) error { return errors.Join(err, c.Close()) }}, nil
}
