// Package interrupt stops reading and writing when a context ends. From then on every call returns the context's cause; a call
// in progress is not interrupted.
package interrupt

import (
	"context"
	"io"
)

// Reader returns a reader that reads from r until ctx ends.
func Reader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// ReaderAt returns a reader that reads from r until ctx ends.
func ReaderAt(ctx context.Context, r io.ReaderAt) io.ReaderAt { return readerAt{ctx, r} }

type readerAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.ReadAt(p, off)
}

// WriteSeeker returns a writer that writes to w until ctx ends; seeking always works.
func WriteSeeker(ctx context.Context, w io.WriteSeeker) io.WriteSeeker { return writeSeeker{ctx, w} }

type writeSeeker struct {
	ctx context.Context
	io.WriteSeeker
}

func (w writeSeeker) Write(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.WriteSeeker.Write(p)
}
