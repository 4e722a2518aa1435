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
	"imprint/internal/remote"
	"imprint/internal/scratch"
	"imprint/internal/visible"
)

// A sink is a target that is closed at the end.
type sink struct {
	target.Target
	close func(err error) error
}

// rooted returns what makes a GC root with a name in the target, which has to be a store directory; nothing without a name.
func (s *sink) rooted(name string) (func(context.Context, closure.Path) error, error) {
	if name == "" {
		return func(context.Context, closure.Path) error { return nil }, nil
	}
	d, ok := s.Target.(*target.Directory)
	if !ok {
		return nil, errNoRoots(s.String())
	}
	return func(ctx context.Context, p closure.Path) error { return d.Root(ctx, name, p) }, d.CheckRoot(name)
}

// errNoRoots returns the error for a GC root in a target that has none.
func errNoRoots(name string) error {
	return fmt.Errorf("--gc-root: %s is no store directory, and has no GC roots", name)
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
		return m.cacheSink(ctx, o, strings.TrimPrefix(o.to, "file://"), f)
	case strings.HasPrefix(o.to, "s3://"):
		return m.bucketSink(ctx, o, f)
	case strings.Contains(o.to, "://"):
		return nil, m.Usage(fmt.Errorf("%s: a binary cache on a server is only read; file:///DIR and s3://BUCKET write one", o.to))
	case isCache(o.to):
		return m.cacheSink(ctx, o, o.to, f)
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

// cacheSink returns a cache in a directory.
func (m *commands) cacheSink(ctx context.Context, o copying, dir string, f closure.Flavor) (*sink, error) {
	cache, err := m.cacheOptions(o, f)
	if err != nil {
		return nil, err
	}
	c, err := target.OpenCache(ctx, dir, cache)
	if err != nil {
		return nil, err
	}
	return &sink{c, func(err error) error { return err }}, nil
}

// bucketSink returns a cache in a bucket.
func (m *commands) bucketSink(ctx context.Context, o copying, f closure.Flavor) (*sink, error) {
	if o.root != "" { // nothing is sent before
		return nil, m.Usage(errNoRoots(o.to))
	}
	cache, err := m.cacheOptions(o, f)
	if err != nil {
		return nil, err
	}
	dir, err := remote.Open(o.to, m.Remote)
	if err != nil {
		return nil, diag.List{{Position: diag.Position{File: visible.Line(o.to)}, Text: err.Error()}}
	}
	c, err := target.OpenBucket(ctx, dir, m.Scratch(), cache)
	if err != nil {
		dir.Close()
		return nil, of(o.to, err)
	}
	return &sink{c, func(err error) error {
		dir.Close()
		return err
	}}, nil
}

// cacheOptions returns what the flags say about a cache.
func (m *commands) cacheOptions(o copying, f closure.Flavor) (target.CacheOptions, error) {
	cache := target.CacheOptions{Flavor: f, Compression: o.compression, Listings: o.listings}
	if !slices.Contains(target.Compressions(), o.compression) {
		return cache, m.Usage(fmt.Errorf("--compression %q is none of %s", o.compression, strings.Join(target.Compressions(), ", ")))
	}
	if o.key == "" {
		return cache, nil
	}
	text, err := os.ReadFile(o.key)
	if err != nil {
		return cache, err
	}
	key, err := narinfo.ParseSecretKey(string(text))
	if err != nil {
		return cache, diag.List{{Position: diag.Position{File: o.key}, Text: err.Error()}}
	}
	cache.Key = &key
	return cache, nil
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
