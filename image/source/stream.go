package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"imprint/closure"
	"imprint/closure/listing"
	"imprint/internal/cas"
	"imprint/internal/tree"
	"imprint/internal/unpack"
)

// A streamed archive is known by its listing. While the files of an item are written, in the order of the archive, it is unpacked once and passes
// by. Whoever wants to read it in another order, or before that, gets it from the build store, to which it is then fetched.
type streamed struct {
	cache *Cache
	info  *closure.Info
	e     *entry

	mu   sync.Mutex
	kept tree.Blob // once it was read otherwise
	pass *pass     // while its files are written
}

// A pass is one reading from start to end.
type pass struct {
	file io.Closer
	from *packed
	r    io.ReadCloser
	at   int64 // offset in the archive
}

// list looks for the listing of an item. Items without one, or with one that is damaged, are fetched. A listing that does not fit the size of the
// archive is wrong; one that is wrong otherwise gives a tree with another hash, as writing finds out.
func (c *Cache) list(ctx context.Context, info *closure.Info) error {
	e := c.entries[info.Path]
	if e.kept != nil || !c.dir.Local() || info.Path.IsDerivation() {
		return nil
	}
	name := digits(info.Path) + listing.Suffix
	text, err := c.dir.ReadFile(ctx, name, listing.MaxSize)
	if err != nil {
		return nil
	}
	shape, err := listing.Parse(text)
	if err != nil {
		return nil
	}
	s := &streamed{cache: c, info: info, e: e}
	n, size, err := shape.Tree(s, closure.CanonicalAttr)
	if err == nil && size != info.NARSize {
		err = fmt.Errorf("its files make an archive of %d bytes, not of %d", size, info.NARSize)
	}
	if err != nil {
		return c.invalid("%s: %v", name, err)
	}
	n.Name = info.Path.Base()
	e.stream, e.tree = s, n
	return nil
}

// Size implements tree.Blob.
func (s *streamed) Size() int64 { return s.info.NARSize }

// Open implements tree.Blob.
func (s *streamed) Open() (tree.Reader, error) { return &streamedReader{s: s}, nil }

// A streamedReader reads from the pass, or from the build store.
type streamedReader struct {
	s    *streamed
	kept tree.Reader
}

// ReadAt implements io.ReaderAt.
func (r *streamedReader) ReadAt(p []byte, off int64) (int, error) {
	if r.kept == nil {
		n, passed, err := r.s.next(p, off)
		if passed || err != nil {
			return n, err
		}
		if r.kept, err = r.s.kept.Open(); err != nil {
			return 0, err
		}
	}
	return r.kept.ReadAt(p, off)
}

// Close implements io.Closer.
func (r *streamedReader) Close() error {
	if r.kept != nil {
		return r.kept.Close()
	}
	return nil
}

// next reads from the pass, if it has not come by the offset. Otherwise it makes sure that the build store has the archive.
func (s *streamed) next(p []byte, off int64) (n int, passed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil && s.pass != nil && off >= s.pass.at {
		n, err := s.pass.read(p, off)
		return n, true, s.failed(err)
	}
	if s.kept == nil {
		err = s.cache.fetch(s.cache.Whole, s.info)
		s.kept = s.e.kept
	}
	return 0, false, err
}

// failed says where an error comes from.
func (s *streamed) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("unpack %v/%s: %w", s.cache, s.e.text.URL, err)
}

// read skips to an offset and reads.
func (p *pass) read(b []byte, off int64) (int, error) {
	if _, err := io.CopyN(io.Discard, p.r, off-p.at); err != nil {
		return 0, p.ended(err)
	}
	n, err := io.ReadFull(p.r, b)
	if p.at = off + int64(n); err != nil {
		err = p.ended(err)
	}
	return n, err
}

// ended returns the error for an archive that cannot be read to its end.
func (p *pass) ended(err error) error {
	if p.from.err == nil && (err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)) {
		return fmt.Errorf("%w: the archive ends too early", cas.ErrMismatch)
	}
	return p.from.failed(err)
}

// Stream returns a function to call before the files of an item are read in the order of its archive, all of them once; nil if any order is as good.
// The end of that has to be reported.
func (c *Cache) Stream(p closure.Path) func(context.Context) (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[p]; e != nil && e.stream != nil && e.kept == nil {
		return e.stream.begin
	}
	return nil
}

// begin opens the archive.
func (s *streamed) begin(ctx context.Context) (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept != nil || s.pass != nil {
		return func() {}, nil
	}
	file, err := s.cache.dir.Open(ctx, s.e.text.URL)
	if err != nil {
		return nil, s.failed(err)
	}
	p := &pass{file: file, from: newPacked(file, s.e.text)}
	if p.r, err = unpack.Reader(p.from, compressions[s.e.text.Compression]); err != nil {
		file.Close()
		return nil, s.failed(p.from.failed(err))
	}
	s.pass = p
	return s.end, nil
}

// end closes the archive.
func (s *streamed) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass.r.Close()
	s.pass.file.Close()
	s.pass = nil
}
