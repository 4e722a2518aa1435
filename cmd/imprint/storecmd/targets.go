package storecmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/closure/narinfo"
	"imprint/image/target"
	"imprint/internal/diag"
	"imprint/internal/scratch"
)

// A sink is a target that is closed at the end.
type sink struct {
	target.Target
	close func(err error) error
}

// rooted returns what makes a GC root with a name in the target, which has to be a store directory; nothing without a name.
func (s *sink) rooted(name string) (func(closure.Path) error, error) {
	if name == "" {
		return func(closure.Path) error { return nil }, nil
	}
	d, ok := s.Target.(*target.Directory)
	if !ok {
		return nil, fmt.Errorf("--gc-root: %s is no store directory, and has no GC roots", s)
	}
	return func(p closure.Path) error { return d.Root(name, p) }, d.CheckRoot(name)
}

// openTarget opens the store to copy to.
func (m *commands) openTarget(ctx context.Context, o copying, f closure.Flavor) (*sink, error) {
	if file, ok := strings.CutPrefix(o.to, "export:"); ok {
		return fileSink(file)
	}
	switch {
	case o.to == "-":
		return &sink{&target.Stream{W: m.Raw, Name: "standard output"}, func(err error) error { return err }}, nil
	case isDaemon(o.to):
		return m.daemonSink(ctx, o.to, f)
	case strings.HasPrefix(o.to, "file://"):
		return m.cacheSink(o, strings.TrimPrefix(o.to, "file://"), f)
	case strings.Contains(o.to, "://"):
		return nil, m.Usage(fmt.Errorf("%s: a binary cache on a server is only read; file:///DIR writes one", o.to))
	case isCache(o.to):
		return m.cacheSink(o, o.to, f)
	}
	if info, err := os.Stat(o.to); err == nil && !info.IsDir() {
		return nil, m.Usage(fmt.Errorf("%s is a file: an image is only read, and a stream is export:FILE", o.to))
	}
	epoch, err := m.Epoch()
	if err != nil {
		return nil, err
	}
	d, err := target.OpenDirectory(ctx, target.DirectoryOptions{Prefix: o.to, Flavor: f, Epoch: epoch, NoSync: o.noSync})
	if err != nil {
		return nil, of(o.to, err)
	}
	return &sink{d, func(err error) error { return errors.Join(err, d.Close()) }}, nil
}

func (m *commands) cacheSink(o copying, dir string, f closure.Flavor) (*sink, error) {
	if !slices.Contains(target.Compressions(), o.compression) {
		return nil, m.Usage(fmt.Errorf("--compression %q is none of %s", o.compression, strings.Join(target.Compressions(), ", ")))
	}
	cache := target.CacheOptions{Dir: dir, Flavor: f, Compression: o.compression}
	if o.key != "" {
		text, err := os.ReadFile(o.key)
		if err != nil {
			return nil, err
		}
		key, err := narinfo.ParseSecretKey(string(text))
		if err != nil {
			return nil, diag.List{{Position: diag.Position{File: o.key}, Text: err.Error()}}
		}
		cache.Key = &key
	}
	c, err := target.OpenCache(cache)
	if err != nil {
		return nil, err
	}
	return &sink{c, func(err error) error { return err }}, nil
}

// fileSink returns a stream in a file, which has its name when the stream is complete.
func fileSink(name string) (*sink, error) {
	f, remove, err := scratch.Create(filepath.Dir(name), name+" (new)")
	if err != nil {
		return nil, err
	}
	return &sink{&target.Stream{W: f, Name: name}, func(err error) error {
		defer remove()
		if err != nil {
			return err
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return scratch.Link(f, name)
	}}, nil
}
