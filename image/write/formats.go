package write

import (
	"errors"
	"fmt"
	"io"
	"os"

	"imprint/container"
	"imprint/image/plan"
	"imprint/internal/direct"
	"imprint/internal/output"
	"imprint/internal/pieces"
	"imprint/internal/processors"
	"imprint/internal/repro"
	"imprint/internal/stream"
	"imprint/internal/verity"
)

// A Formatted is an output that holds the disk in another format than raw, or the tree of a partition.
type Formatted struct {
	*output.Output
	Format    *container.Format
	Options   container.Options
	Partition string    // the name of that partition
	To        io.Writer // takes the bytes in place of the file, which stays empty; nil for the file
}

// packs reports whether the bytes depend on earlier ones, so that some wait in a scratch file.
func (f Formatted) packs() bool { return f.Format.Packs(f.Options) || f.To != nil }

// formats are the writers of the outputs that are not raw. Each piece of the disk is given to all of them when it is complete, by the worker
// that has it in memory.
type formats struct {
	list    []Formatted
	writers []pieces.Writer
	spools  []*output.Output
	stops   []func()
	pool    *direct.Pool   // of the files that are written past the page cache
	past    []*direct.File // some of the outputs
	blocks  []*direct.Blocks
}

// newFormats starts the outputs of a volume, whose pieces they get.
func newFormats(list []Formatted, p *plan.Plan, l *plan.Layout, v *stream.Volume) (*formats, error) {
	f, err := startFormats(list, p.Manifest(l, 0), p.Seed, pieces.Disk{Size: v.Size, Hole: v.Digest.Hole}, v.File)
	v.Digest.Take = f.take
	return f, err
}

// startFormats starts outputs. disk has its size and its holes; the manifest says for what it is. whole is for formats that read it again.
func startFormats(list []Formatted, m *plan.Manifest, seed repro.Seed, disk pieces.Disk, whole io.ReaderAt) (f *formats, err error) {
	f = &formats{list: list}
	disk.Piece, disk.Sector = stream.PieceSize, m.SectorSize
	disk.ID = func(name string) [16]byte { return seed.UUID("output " + name) }
	for _, out := range list {
		o := out.Options
		o.Name, o.Workers, o.UEFI = m.Name, processors.Count(), m.Firmware() == "uefi"
		o.Image.Arch, o.Image.Created = m.Arch, m.Epoch
		t := container.Target{File: out.File, Whole: whole}
		if out.To != nil {
			t.File, t.Pipe = &pipe{w: out.To}, true
		} else if !out.packs() {
			if t.File, err = f.direct(out.File); err != nil {
				return f, err
			}
		}
		if out.packs() {
			spool, err := output.Create(out.Path())
			if err != nil {
				return f, err
			}
			f.spools = append(f.spools, spool)
			t.Spool = spool.File
		}
		w, err := out.Format.Create(t, disk, o)
		if err != nil {
			return f, fmt.Errorf("write %s: %w", out.File.Name(), err)
		}
		f.writers = append(f.writers, w)
	}
	return f, nil
}

// directBuffers is the number of buffers for all files that are written past the page cache.
const directBuffers = 4

// direct returns a file that is written past the page cache; the file itself if its file system cannot do that.
func (f *formats) direct(file *os.File) (pieces.File, error) {
	blocks := output.Direct(file)
	if blocks == nil {
		return file, nil
	}
	f.blocks = append(f.blocks, blocks)
	if f.pool == nil {
		var err error
		if f.pool, err = direct.NewPool(directBuffers); err != nil {
			return nil, err
		}
	}
	d := direct.New(blocks, f.pool)
	f.past = append(f.past, d)
	return d, nil
}

// take is stream.Pieces.Take.
func (f *formats) take(piece int64, content []byte) error {
	for _, w := range f.writers {
		if err := w.Put(piece, content); err != nil {
			return err
		}
	}
	return nil
}

// finish completes the files, all at the same time: what waits in a spool may be much.
func (f *formats) finish() error {
	errs := make(chan error, len(f.writers))
	for _, w := range f.writers {
		go func() { errs <- w.Close() }()
	}
	var first error
	for range f.writers {
		if err := <-errs; first == nil {
			first = err
		}
	}
	for _, d := range f.past {
		if err := d.Wait(); first == nil {
			first = err
		}
	}
	return first
}

// back returns how an output is written back during the build. Of several, none stays in memory, unless it is read again: together they may be
// larger than the memory, and nobody knows which one will be used first.
func (o Options) back(again bool) func(*os.File) (stop func()) {
	outputs := len(o.Formats)
	if !o.Scratch {
		outputs++
	}
	if outputs > 1 && !again {
		return output.WriteAway
	}
	return output.WriteBack
}

// writeBack has the kernel write the files back from now on, in the given way.
func (f *formats) writeBack(how func(*os.File) (stop func())) {
	for _, out := range f.list {
		f.stops = append(f.stops, how(out.File))
	}
}

// discard removes scratch files.
func (f *formats) discard() {
	for _, stop := range f.stops {
		stop()
	}
	for _, spool := range f.spools {
		spool.Discard()
	}
	for _, d := range f.past {
		_ = d.Wait() // said by finish, unless another error came first
	}
	for _, b := range f.blocks {
		b.Close()
	}
	if f.pool != nil {
		f.pool.Free()
	}
}

// meetOnly reports whether the file of the disk is only needed where parts of pieces meet, since nothing reads it afterwards: it is no output,
// no plain hash of it is wanted, and the hashes of every partition follow from the disk's tree.
func meetOnly(l *plan.Layout, o Options) bool {
	if !o.Scratch || o.SHA256 {
		return false
	}
	for _, r := range l.Regions {
		off, size, whole := r.Range()
		if whole && !o.NoDigest && (off%verity.Span != 0 || size%verity.Span != 0) || r.Partition.Verity != "" && off%verity.BlockSize != 0 {
			return false
		}
	}
	return true
}

// A pipe is a [pieces.File] that is written from its start to its end.
type pipe struct {
	w  io.Writer
	at int64
}

// WriteAt implements io.WriterAt.
func (p *pipe) WriteAt(b []byte, off int64) (int, error) {
	if off != p.at {
		return 0, fmt.Errorf("write at %d of a pipe, after %d bytes: %w", off, p.at, errors.ErrUnsupported)
	}
	n, err := p.w.Write(b)
	p.at += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt.
func (p *pipe) ReadAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }

// Truncate implements pieces.File.
func (p *pipe) Truncate(int64) error { return nil }
