package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"imprint/closure/nar"
	"imprint/internal/cas"
	"imprint/internal/tree"
	"imprint/internal/unpack"
)

// A pass is one reading of an archive from start to end, while the contents of its files are taken in their order.
type pass struct {
	file io.Closer
	from *packed
	r    io.ReadCloser
	at   int64 // offset in the archive
	buf  []byte

	watch *watch // of the contents that are compared, or were in a pass before; nil if there are none

	// Of a pass that verifies:
	gaps   hash.Hash    // of what lies between contents
	before *watch       // of the pass before; nil if there was none
	copy   *cas.Pending // of the archive; nil if it is not kept
}

// newPass begins to unpack the file of an archive, which it closes.
func newPass(file io.ReadCloser, e *entry) (*pass, error) {
	p := &pass{file: file, from: newPacked(file, e.text), buf: make([]byte, 16<<10)}
	p.from.sum = nil // since the hash of the archive is checked
	var err error
	if p.r, err = unpack.Reader(p.from, compressions[e.text.Compression]); err != nil {
		file.Close()
		return nil, p.from.failed(err)
	}
	return p, nil
}

// begin makes it a pass that verifies, and perhaps keeps the archive.
func (p *pass) begin(copy *cas.Pending, before *watch) {
	p.copy, p.gaps, p.before = copy, sha256.New(), before
	if before != nil {
		p.watch = &watch{before.places, sha256.New()}
	}
}

// read skips to an offset and reads.
func (p *pass) read(b []byte, off int64) (int, error) {
	if err := p.skip(off); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(p.r, b)
	if p.watch != nil && p.before == nil {
		p.watch.compared(b[:n], p.at)
	}
	p.passed(b[:n])
	if err != nil {
		err = p.ended(err)
	}
	return n, err
}

// skip reads up to an offset.
func (p *pass) skip(off int64) error {
	for p.at < off {
		n, err := io.ReadFull(p.r, p.buf[:min(off-p.at, int64(len(p.buf)))])
		if p.gaps != nil {
			p.gaps.Write(p.buf[:n])
		}
		p.passed(p.buf[:n])
		if err != nil {
			return p.ended(err)
		}
	}
	return nil
}

// passed counts bytes of the archive, and keeps them. Where that fails, [pass.keep] says so.
func (p *pass) passed(b []byte) {
	if p.before != nil {
		p.watch.passed(b, p.at)
	}
	p.at += int64(len(b))
	if p.copy != nil {
		_, _ = p.copy.Write(b)
	}
}

// ended returns the error for an archive that cannot be read to its end.
func (p *pass) ended(err error) error {
	if p.from.err == nil && (err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)) {
		return fmt.Errorf("%w: the archive ends too early", cas.ErrMismatch)
	}
	return p.from.failed(err)
}

// finish reads the archive to its end, and compares what was between the contents with the tree that they were taken for. So the archive is the one that
// the tree and the contents make.
func (p *pass) finish(n *tree.Node, size int64) error {
	if err := p.skip(size); err != nil {
		return err
	}
	switch _, err := io.ReadFull(p.r, p.buf[:1]); {
	case err == nil:
		return fmt.Errorf("%w: the archive is longer than its %d bytes", cas.ErrMismatch, size)
	case err != io.EOF:
		return p.from.failed(err)
	}
	want := sha256.New()
	if err := nar.Frame(want, n); err != nil {
		return err
	}
	if [sha256.Size]byte(want.Sum(nil)) != [sha256.Size]byte(p.gaps.Sum(nil)) {
		return fmt.Errorf("%w: the archive has other files than the listing", cas.ErrMismatch)
	}
	if p.before != nil {
		if err := p.watch.check(p.before); err != nil {
			return err
		}
	}
	return p.from.check()
}

// keep keeps the archive, which has its hash, and returns it; nil if it is not to be kept.
func (p *pass) keep() (tree.Blob, error) {
	if p.copy == nil {
		return nil, nil
	}
	b, err := p.copy.Keep()
	p.copy = nil
	return b, err
}

// close closes the archive, and drops what was not kept of it.
func (p *pass) close() {
	p.drop()
	p.r.Close()
	p.file.Close()
}

func (p *pass) drop() {
	if p.copy != nil {
		p.copy.Drop()
		p.copy = nil
	}
}

// An opening is a file that is asked for before it is needed.
type opening struct {
	done chan struct{}
	file io.ReadCloser
	err  error
}

// openAhead asks for a file.
func openAhead(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) *opening {
	o := &opening{done: make(chan struct{})}
	go func() {
		defer close(o.done)
		o.file, o.err = open(ctx)
	}()
	return o
}

// wait returns the file when it is there.
func (o *opening) wait() (io.ReadCloser, error) {
	<-o.done
	return o.file, o.err
}

// close gives the file up, perhaps before it is there.
func (o *opening) close() {
	go func() {
		if f, err := o.wait(); err == nil {
			f.Close()
		}
	}()
}
