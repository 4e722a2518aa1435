package stream

import (
	"context"
	"io"

	"imprint/internal/direct"
	"imprint/internal/extent"
	"imprint/internal/tree"
)

// A Worker moves contents for the job that it runs.
type Worker struct {
	disk    *Disk
	window  window
	scratch []byte // for contents that are only hashed
}

func newWorker(d *Disk) (*Worker, error) {
	buf, err := direct.Buffer()
	if err != nil {
		return nil, err
	}
	return &Worker{disk: d, window: window{disk: d, buf: buf, on: &d.Volume}}, nil
}

func (w *Worker) end() { direct.Free(w.window.buf) }

func (w *Worker) run(ctx context.Context, j Job) error {
	if err := j.Run(ctx, w); err != nil {
		return err
	}
	return w.window.flush()
}

// To has the destinations of the content of a blob.
type To struct {
	// Places are places in one region, in the order of the blob and disjoint. They are written through the worker's window.
	Places []extent.Extent
	// Further are places in other regions, in any order; each is written directly.
	Further []extent.Extent
	// Grain is the size in bytes of the blocks of the region of Places. The rest of a last block belongs to no other content, and is filled with
	// zeros, so that consecutive small files are one write.
	Grain int64
	// Hash takes all bytes of the blob in order, holes as zeros, unless it is nil.
	Hash io.Writer
}

// Copy reads a blob once and writes it to its destinations. The error matches [ErrChanged] if the content is not as long as the blob's Size.
func (w *Worker) Copy(b tree.Blob, to To) error {
	if to.Hash == nil && len(to.Places) == 0 && len(to.Further) == 0 {
		return nil
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	c := copying{To: to, w: w, blob: b, reader: r}
	return c.all()
}

// Fill writes generated extents, which are in the order of their offsets and read no host file. Grain is as in [To].
func (w *Worker) Fill(list []extent.Extent, grain int64) error {
	for _, e := range list {
		if err := w.fill(e, grain); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) fill(e extent.Extent, grain int64) error {
	r, err := e.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	for part := range pieces(e) {
		p, err := w.window.claim(part.Off, part.Len, grain, false)
		if err != nil {
			return err
		}
		if err := tree.ReadFull(r, e.Blob, p, part.At); err != nil {
			return err
		}
	}
	return nil
}
