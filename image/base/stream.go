package base

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"imprint/internal/cas"
	"imprint/internal/compressed"
	"imprint/internal/oci"
	"imprint/internal/tarsums"
	"imprint/internal/tree"
	"imprint/internal/unpack"
)

// A blobReader reads a blob from its beginning to its end.
type blobReader struct {
	*io.SectionReader
	io.Closer
}

func readerOf(b tree.Blob) (io.ReadCloser, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	return blobReader{io.NewSectionReader(r, 0, b.Size()), r}, nil
}

// A verified reader compares a layer, as it is compressed, with its digest and size at its end.
type verified struct {
	io.ReadCloser
	want oci.Descriptor
	sum  hash.Hash
	n    int64
}

func newVerified(r io.ReadCloser, want oci.Descriptor) *verified {
	return &verified{ReadCloser: r, want: want, sum: sha256.New()}
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	v.n += int64(n)
	switch {
	case v.want.Size > 0 && v.n > v.want.Size:
		return 0, fmt.Errorf("%w: it has more than %d bytes", cas.ErrMismatch, v.want.Size)
	case err != io.EOF:
	case oci.Digest(v.sum.Sum(nil)) != v.want.Digest:
		return n, fmt.Errorf("%w: %d bytes with the SHA-256 %x, not %s", cas.ErrMismatch, v.n, v.sum.Sum(nil), oci.Text(v.want.Digest))
	}
	return n, err
}

// archive gets the unpacked archive of a layer into the build store. Unless that has it, sums gets the hashes of contents.
func (s *search) archive(ctx context.Context, f *Fetch, p part, sums *tarsums.Hash) (archive tree.Blob, sum oci.Digest, err error) {
	if s.ref.Kind != oci.Tar {
		archive, err = s.kept.AddWith(ctx, sums, p.sum, cas.AnySize, func(w io.Writer) error { return f.unpack(ctx, w, p) })
		return archive, p.sum, err
	}
	return s.kept.AddUnknown(ctx, sums, p.sum, func(w io.Writer) error { return f.unpack(ctx, w, p) })
}

// head is how many bytes at the beginning of a file say how it is compressed.
const head = 4 << 10

// unpack writes what a layer unpacks to. Reading and hashing what is packed, unpacking it, and hashing and writing what was unpacked, each have a
// goroutine of their own.
func (f *Fetch) unpack(ctx context.Context, w io.Writer, p part) error {
	ctx, stop := context.WithCancel(ctx)
	packed, err := p.open(ctx)
	if err != nil {
		stop()
		return err
	}
	defer packed.Close()
	source := readAhead(ctx, stop, &counted{r: packed, f: f})
	defer source.Close()
	in := bufio.NewReaderSize(source, 256<<10)
	first, err := in.Peek(head)
	if err != nil && err != io.EOF {
		return err
	}
	by := compressed.By(first)
	if by == "" {
		by = "none"
	}
	r, err := unpack.Reader(in, by)
	if err != nil {
		return failed(source.err, by, err)
	}
	defer r.Close()
	if err := relay(ctx, w, r); err != nil {
		var other *writeError
		if errors.As(err, &other) {
			return other.error
		}
		return failed(source.err, by, err)
	}
	_, err = io.Copy(io.Discard, in) // to the end, where it is compared
	return err
}

// A counted reader counts bytes.
type counted struct {
	r io.Reader
	f *Fetch
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.f.done.Add(int64(n))
	return n, err
}

// failed returns the reason of an error of unpacking: that of reading, if there is one, else that the content is damaged.
func failed(reading error, by string, err error) error {
	switch {
	case reading != nil:
		return reading
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, fs.ErrClosed):
		return err
	}
	return fmt.Errorf("%w: damaged: %s: %v", cas.ErrMismatch, by, err)
}

// A writeError is an error of where something is written to.
type writeError struct{ error }

// Unwrap returns the error.
func (w *writeError) Unwrap() error { return w.error }

// Two processors relay pieces of this many bytes, of which a few are on the way.
const (
	pieceSize = 512 << 10
	pieces    = 4
)

// fill reads until the buffer is full. Unlike io.ReadFull it returns the error of the reader: data that is cut off is no end.
func fill(buf []byte, r io.Reader) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// relay copies a reader to a writer, of which each has a goroutine of its own.
func relay(ctx context.Context, w io.Writer, r io.Reader) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b := newBelt()
	go b.read(ctx, r)
	var failed error
	for piece := range b.full {
		if failed == nil {
			if _, err := w.Write(piece); err != nil {
				failed = &writeError{err}
				stop(err)
			}
		}
		b.free <- piece[:cap(piece)]
	}
	if failed != nil {
		return failed
	}
	return b.err
}

// A belt carries pieces from a reader, and empty ones back.
type belt struct {
	free, full chan []byte
	err        error // of reading; valid when full is closed
}

func newBelt() *belt {
	b := &belt{free: make(chan []byte, pieces), full: make(chan []byte, pieces)}
	for range pieces {
		b.free <- make([]byte, pieceSize)
	}
	return b
}

// read puts pieces on the belt until the end of the reader, or that of ctx.
func (b *belt) read(ctx context.Context, r io.Reader) {
	defer close(b.full)
	for {
		select {
		case <-ctx.Done():
			b.err = context.Cause(ctx)
			return
		case piece := <-b.free:
			n, err := fill(piece, r)
			if n > 0 {
				b.full <- piece[:n]
			}
			if err == io.EOF {
				return
			}
			if b.err = err; err != nil {
				return
			}
		}
	}
}
