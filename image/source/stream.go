package source

import (
	"context"
	"fmt"
	"io"
	"sync"

	"imprint/closure"
	"imprint/internal/tree"
)

// A streamed archive is known by its listing. While the files of an item are written, in the order of the archive, it is unpacked once and passes
// by, and is perhaps kept in the build store. Whoever wants to read it in another order, or before that, gets it from there, to which it is then fetched.
type streamed struct {
	cache *Cache
	info  *closure.Info
	e     *entry

	mu      sync.Mutex
	kept    tree.Blob // verified: in the build store, or apart
	apart   tree.Blob // unpacked before it is written, and not verified; nil for most
	trusted bool      // for a time: whoever reads verifies, or asks for no more than whether files are equal
	pass    *pass     // while its files are written, or compared
	opening *opening  // of its file, before it is needed
	repeats []repeat  // by offset
	before  *watch    // of a pass that compared

	equal map[int64]*repeated // by the first offset; while files are compared
}

// Size implements tree.Blob.
func (s *streamed) Size() int64 { return s.info.NARSize }

// Open implements tree.Blob.
func (s *streamed) Open() (tree.Reader, error) { return &streamedReader{s: s}, nil }

// A streamedReader reads from the pass, or from where the archive is complete.
type streamedReader struct {
	s     *streamed
	whole tree.Reader
}

// ReadAt implements io.ReaderAt.
func (r *streamedReader) ReadAt(p []byte, off int64) (int, error) {
	if r.whole == nil {
		n, whole, err := r.s.next(p, off)
		if whole == nil || err != nil {
			return n, err
		}
		if r.whole, err = whole.Open(); err != nil {
			return 0, err
		}
	}
	return r.whole.ReadAt(p, off)
}

// Close implements io.Closer.
func (r *streamedReader) Close() error {
	if r.whole != nil {
		return r.whole.Close()
	}
	return nil
}

// next reads from the pass, if it has not come by the offset. Otherwise it returns the archive, complete and verified, unless that is left to whoever reads.
func (s *streamed) next(p []byte, off int64) (n int, whole tree.Blob, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kept != nil:
		return 0, s.kept, nil
	case s.apart != nil && s.trusted:
		return 0, s.apart, nil
	case s.pass != nil && off >= s.pass.at:
		n, err := s.pass.read(p, off)
		return n, nil, s.failed(err)
	case s.pass != nil:
		if again, found := s.ahead(off, s.pass.at); found {
			n, err := s.pass.read(p, again)
			return n, nil, s.failed(err)
		}
	}
	return 0, s.kept, s.complete()
}

// complete makes sure that the whole archive is there and verified.
func (s *streamed) complete() error {
	if s.apart != nil {
		return s.verify()
	}
	if s.pass != nil {
		s.pass.drop() // fetching would wait for it
	}
	if err := s.cache.fetch(s.cache.Whole, s.info); err != nil {
		return err
	}
	s.kept = s.e.kept
	return nil
}

// verify compares an archive that is apart with its hash.
func (s *streamed) verify() error {
	hash, err := hashOf(s.cache.Whole, s.apart)
	switch {
	case err != nil:
		return err
	case *hash != s.info.NARHash:
		return s.failed(&mismatch{*hash, s.info.NARHash})
	}
	s.kept = s.apart
	return nil
}

// failed says where an error comes from.
func (s *streamed) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("unpack %v/%s: %w", s.cache, s.e.text.URL, err)
}

// A Stream is the archive of an item whose files are best read once, in its order.
type Stream struct{ s *streamed }

// Stream returns the stream of an item, nil if any order is as good.
func (c *Cache) Stream(p closure.Path) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[p]; e != nil && e.stream != nil && e.kept == nil {
		return &Stream{e.stream}
	}
	return nil
}

// String returns the URL of the archive, without a password.
func (t *Stream) String() string { return fmt.Sprintf("%v/%s", t.s.cache, t.s.e.text.URL) }

// Distant reports whether the archive comes from a server, so that several should be read at once.
func (t *Stream) Distant() bool { return !t.s.cache.dir.Local() }

// Ahead asks for an archive that will be needed soon, if a server has it, so that what is read before hides the time of the answer. There is a limit to
// how many are asked for at a time. Files stay open until they were read, or the context ends.
func (t *Stream) Ahead(ctx context.Context) {
	s := t.s
	if !s.mu.TryLock() { // it is being read
		return
	}
	defer s.mu.Unlock()
	if s.cache.dir.Local() || s.kept != nil || s.apart != nil || s.pass != nil || s.opening != nil || !s.cache.asks.TryAcquire(1) {
		return
	}
	name := s.e.text.URL
	s.opening = openAhead(ctx, func(ctx context.Context) (io.ReadCloser, error) { return s.cache.dir.Open(ctx, name) })
}

// Begin is called before the files of an item are read in the order of its archive, all of them once, and end after that: with whether they have the
// hash of the item. It returns an error if the archive has anything else in it.
func (t *Stream) Begin(ctx context.Context) (end func(verified bool) error, err error) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kept == nil && s.apart != nil:
		s.trusted = true
		return s.endApart, nil
	case s.kept == nil && s.pass == nil:
		if err := s.begin(ctx); err != nil {
			return nil, s.failed(err)
		}
		if s.pass != nil {
			return s.end, nil
		}
	}
	s.forget()
	return func(bool) error { return nil }, nil
}

func (s *streamed) endApart(verified bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trusted = false; verified {
		s.kept = s.apart
		s.remember()
	}
	return nil
}

// remember keeps the text about an item that is right.
func (s *streamed) remember() {
	if s.e.asked != nil {
		_ = s.cache.texts.Put(nameOf(s.info.Path), s.e.asked)
	}
}

// begin opens the archive, unless another process has kept it meanwhile.
func (s *streamed) begin(ctx context.Context) error {
	copy := s.copy(ctx)
	if s.kept != nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	file, err := s.open(ctx)
	if err == nil {
		s.pass, err = newPass(file, s.e)
	}
	if err == nil {
		s.pass.begin(copy, s.before)
	} else if copy != nil {
		copy.Drop()
	}
	return err
}

// open opens the file of the archive, if need be under the name that the cache has for it now.
func (s *streamed) open(ctx context.Context) (file io.ReadCloser, err error) {
	if s.opening != nil {
		file, err = s.opening.wait()
		s.opening = nil
		s.cache.asks.Release(1)
	} else {
		file, err = s.cache.dir.Open(ctx, s.e.text.URL)
	}
	if err != nil && ctx.Err() == nil && s.cache.renewed(ctx, s.info, s.e) {
		file, err = s.cache.dir.Open(ctx, s.e.text.URL)
	}
	return file, err
}

// forget gives up what was asked for ahead.
func (s *streamed) forget() {
	if s.opening != nil {
		s.opening.close()
		s.opening = nil
		s.cache.asks.Release(1)
	}
}

// end ends the pass. What is verified is kept.
func (s *streamed) end(verified bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.pass.close(); s.pass = nil }()
	if !verified || s.kept != nil { // it was read in another order, too
		return nil
	}
	err := s.pass.finish(s.e.tree, s.info.NARSize)
	if err != nil {
		return s.failed(err)
	}
	if s.kept, err = s.pass.keep(); err != nil {
		s.cache.notKept(err)
	}
	s.remember()
	return nil
}
