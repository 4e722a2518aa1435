package source

import (
	"context"
	"errors"
	"io/fs"

	"imprint/closure"
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
	var held []*locks.TempRoots
	release = func() {
		for _, r := range held {
			r.Close()
		}
	}
	for s, paths := range items {
		r, err := locks.OpenTempRoots(ctx, s.State())
		if cannotHold(err) {
			continue
		}
		if err == nil {
			held = append(held, r)
			err = hold(ctx, s, r, paths)
		}
		if err != nil && !cannotHold(err) {
			release()
			return nil, err
		}
	}
	return release, nil
}

// cannotHold reports whether an error means that the user may not make roots, or that the directory is no store that is in use.
func cannotHold(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EROFS)
}

func hold(ctx context.Context, s *closure.LocalStore, r *locks.TempRoots, paths []closure.Path) error {
	texts := make([]string, len(paths))
	for i, p := range paths {
		texts[i] = p.String()
	}
	if err := r.Add(ctx, texts); err != nil {
		return err
	}
	return s.Check(ctx, paths)
}
