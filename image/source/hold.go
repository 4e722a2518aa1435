package source

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"imprint/closure"
	"imprint/closure/daemon"
	"imprint/closure/locks"

	"golang.org/x/sys/unix"
)

// Hold makes the items of a closure that are in stores on this machine temporary roots, as far as the user may, so that no garbage collection takes
// them before release, and looks up again whether all are valid. The error is a [*closure.GoneError] if one is not. Items of a [Daemon] are held until that is closed.
func Hold(ctx context.Context, c *closure.Closure) (release func(), err error) {
	items := map[*closure.LocalStore][]closure.Path{}
	for _, item := range c.Items {
		if s, ok := item.Store.(*closure.LocalStore); ok {
			items[s] = append(items[s], item.Info.Path)
		}
	}
	var held []io.Closer
	release = func() {
		for _, r := range held {
			r.Close()
		}
	}
	for s, paths := range items {
		r, err := hold(ctx, s, paths)
		if r != nil {
			held = append(held, r)
		}
		if err != nil && !cannotHold(err) {
			release()
			return nil, err
		}
	}
	return release, nil
}

// hold makes items temporary roots until what it returns is closed. It does so in the store's own form or, where the user may not, by its daemon.
func hold(ctx context.Context, s *closure.LocalStore, paths []closure.Path) (io.Closer, error) {
	texts := make([]string, len(paths))
	for i, p := range paths {
		texts[i] = p.String()
	}
	r, err := locks.OpenTempRoots(ctx, s.State())
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		if c := askedToHold(ctx, s, texts); c != nil {
			return c, s.Check(ctx, paths)
		}
		return nil, err
	case err != nil:
		return nil, err
	}
	if err := r.Add(ctx, texts); err != nil {
		return r, err
	}
	return r, s.Check(ctx, paths)
}

// askedToHold returns a connection to the daemon of a store, which holds paths until it is closed; nil if there is none that does.
func askedToHold(ctx context.Context, s *closure.LocalStore, texts []string) io.Closer {
	c, err := daemon.Dial(ctx, s.State()+daemon.Socket)
	if err != nil {
		return nil
	}
	if err := c.AddTempRoots(ctx, texts); err != nil {
		c.Close()
		return nil
	}
	return c
}

// cannotHold reports whether an error means that the user may not make roots, or that the directory is no store that is in use.
func cannotHold(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EROFS)
}
