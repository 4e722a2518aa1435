package storecmd

import (
	"context"
	"errors"
	"io"
	"strings"

	"imprint/closure"
	"imprint/closure/daemon"
	"imprint/image/source"
	"imprint/image/target"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// isDaemon reports whether a store is a daemon.
func isDaemon(text string) bool { return text == "daemon" || strings.HasPrefix(text, "unix://") }

// socket returns the socket of a daemon.
func socket(text string, f closure.Flavor) string {
	if path, ok := strings.CutPrefix(text, "unix://"); ok {
		return path
	}
	return f.StateDir + source.DaemonSocket
}

func (m *commands) openDaemon(ctx context.Context, text string, f closure.Flavor) (*place, error) {
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	d, err := source.OpenDaemon(ctx, source.DaemonOptions{
		Socket: socket(text, f), Flavor: f, Keep: m.StoreDir(), Read: (&hosttree.Scanner{Attr: canonical, FilesOnly: true}).Read,
	})
	if err != nil {
		return nil, err
	}
	return &place{Store: d, kind: daemonKind, prefix: d.Prefix(), list: d, closes: []io.Closer{d}}, nil
}

func (m *commands) daemonSink(ctx context.Context, to string, f closure.Flavor) (*sink, error) {
	at := socket(to, f)
	c, err := daemon.Dial(ctx, at)
	if err != nil {
		return nil, err
	}
	return &sink{&target.Daemon{Client: c, Name: "daemon at " + at, Flavor: f}, func(err error) error { return errors.Join(err, c.Close()) }}, nil
}
