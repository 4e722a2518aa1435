package cas

import (
	"context"
	"fmt"
	"os"

	"imprint/internal/hosttree"
	"imprint/internal/scratch"
	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Pending is a content that passes by on its way to somewhere else, and is kept once whoever reads it there has verified it.
type Pending struct {
	store  *Store
	digest Digest
	left   int64 // bytes that are missing
	file   *os.File
	err    error // of writing
}

// Begin prepares to keep the content with a digest and a size in bytes. If another process is adding it, Begin waits for that; so the content may
// be there then. Until [Pending.Keep] or [Pending.Drop] other processes wait. There is an error if the content does not fit on the disk.
func (s *Store) Begin(ctx context.Context, d Digest, size int64) (*Pending, error) {
	f, err := s.begin(ctx, d)
	if err != nil {
		return nil, err
	}
	p := &Pending{store: s, digest: d, left: size, file: f}
	if free, err := scratch.Free(s.dir); err != nil || size > free-reserve {
		p.Drop()
		if err == nil {
			err = s.noRoom(free, units.FormatBytes(size))
		}
		return nil, err
	}
	return p, nil
}

// Write implements io.Writer. After an error the content is not kept.
func (p *Pending) Write(b []byte) (int, error) {
	if p.err == nil && int64(len(b)) > p.left {
		p.err = errTooMany
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.file.Write(b)
	p.left, p.err = p.left-int64(n), err
	return n, err
}

// Keep names the content, which has the digest, and returns it. It does not hash it: whoever gets it later does.
func (p *Pending) Keep() (tree.Blob, error) {
	defer p.Drop()
	if p.err == nil && p.left > 0 {
		p.err = fmt.Errorf("%w: %d bytes too few", ErrMismatch, p.left)
	}
	if p.err != nil {
		return nil, p.err
	}
	if err := p.store.name(p.file, p.digest); err != nil {
		return nil, err
	}
	p.close()
	return hosttree.File(p.store.Path(p.digest))
}

// Drop gives the content up, unless it was kept.
func (p *Pending) Drop() {
	if p.file == nil {
		return
	}
	os.Remove(p.file.Name())
	p.close()
}

func (p *Pending) close() {
	p.file.Close()
	p.file, p.err = nil, os.ErrClosed
}
