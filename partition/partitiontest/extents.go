package partitiontest

import (
	"context"
	"fmt"
	"io"
	"os"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// A Source is a plan with extents, as the native engines have.
type Source interface {
	extent.Source
	Size() int64
}

// FromExtents returns a [Plan] whose Make writes the extents of s, one after the other.
func FromExtents(s Source) Plan { return extents{s} }

type extents struct{ Source }

// Make writes every extent of the region, and zeros between them.
func (s extents) Make(ctx context.Context, file string, offset int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := zero(f, offset, s.Size()); err != nil {
		return err
	}
	w := extentWriter{to: f, offset: offset, buffer: make([]byte, 1<<20)}
	defer w.close()
	end := int64(0)
	for x := range s.Extents(0) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if x.Off < end || x.Len <= 0 || x.End() > s.Size() {
			return fmt.Errorf("extent of %d bytes at %d, after one that ends at %d, in a region of %d", x.Len, x.Off, end, s.Size())
		}
		if err := w.write(x); err != nil {
			return fmt.Errorf("write extent of %d bytes at %d: %w", x.Len, x.Off, err)
		}
		end = x.End()
	}
	return nil
}

// An extentWriter keeps the blob of the last extent open, since a file's extents often follow one another.
type extentWriter struct {
	to     io.WriterAt
	offset int64
	buffer []byte
	blob   tree.Blob
	reader tree.Reader
}

func (w *extentWriter) write(x extent.Extent) error {
	if w.blob != x.Blob {
		w.close()
		r, err := x.Blob.Open()
		if err != nil {
			return err
		}
		w.blob, w.reader = x.Blob, r
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(w.to, w.offset+x.Off)},
		io.NewSectionReader(w.reader, x.At, x.Len), w.buffer)
	if err == nil && n < x.Len {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (w *extentWriter) close() {
	if w.reader != nil {
		w.reader.Close()
		w.blob, w.reader = nil, nil
	}
}
