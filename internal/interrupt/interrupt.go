// Package interrupt ends reading and writing when a context ends. Once it has, every call returns the context's cause; a call that has
// begun is not cut short.
package interrupt

import (
	"context"
	"io"
)

// Reader is r until ctx ends.
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

// ReaderAt is r until ctx ends.
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

// WriteSeeker is w until ctx ends; seeking is always possible.
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
