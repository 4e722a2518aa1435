package image

import (
	"context"
	"fmt"
	"io"
	"os"

	"imprint/partition/iso9660"
	"imprint/image/xorriso"
	"imprint/internal/extent"
	"imprint/internal/processors"
	"imprint/internal/scratch"
	"imprint/internal/stream"
	"imprint/internal/tree"
	"imprint/partition"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// An isoWriter carries a plan of an ISO out.
type isoWriter struct {
	plan   *Plan
	layout *Layout
	file   *os.File
	opts   WriteOptions
	dir    *scratch.Directory // of file systems that become files of the ISO; nil when there are none
}

// writeISO is Write for an ISO: file systems inside are made first, xorriso then reads all contents and writes the image, and what it wrote
// is read back and compared with the plan, with the NAR hashes of all items and with the pins of host files.
func (p *Plan) writeISO(ctx context.Context, file *os.File, l *Layout, o WriteOptions) (*Result, error) {
	w := &isoWriter{plan: p, layout: l, file: file, opts: o}
	defer w.close()
	if err := xorriso.Installed(); err != nil { // before file systems inside are made in vain
		return nil, err
	}
	if err := enoughSpace(file, l.Size); err != nil {
		return nil, err
	}
	if o.Progress != nil {
		o.Progress(&Meter{w.written, l.Size})
	}
	for _, part := range p.Partitions {
		if part.Inside != "" {
			if err := w.makeInner(ctx, part); err != nil {
				return nil, fmt.Errorf("make %q: %w", part.Spec.Name, err)
			}
		}
	}
	img := w.image()
	if err := xorriso.Write(ctx, img, file); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	v, err := iso9660.Read(interruptibleAt{ctx, file}, info.Size())
	if err != nil {
		return nil, fmt.Errorf("read back what xorriso wrote: %w", err)
	}
	if err := w.verify(ctx, v, img); err != nil {
		return nil, err
	}
	return w.result(ctx, v, info.Size())
}

// An interruptibleAt reads until ctx ends.
type interruptibleAt struct {
	ctx context.Context
	io.ReaderAt
}

func (r interruptibleAt) ReadAt(p []byte, off int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.ReaderAt.ReadAt(p, off)
}

func (w *isoWriter) close() {
	if w.dir != nil {
		w.dir.Remove()
	}
}

// written is how large the image has become.
func (w *isoWriter) written() int64 {
	var st unix.Stat_t
	if unix.Fstat(int(w.file.Fd()), &st) != nil {
		return 0
	}
	return st.Size
}

// makeInner makes a file system that becomes a file of the ISO, in a directory beside the image.
func (w *isoWriter) makeInner(ctx context.Context, part *Partition) (err error) {
	if w.dir == nil {
		if w.dir, err = scratch.Dir(part.Spec.Scratch); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(w.dir.Path, "")
	if err != nil {
		return err
	}
	defer file.Close()
	return w.plan.writeInner(ctx, part, file, !w.opts.NoVerify)
}

// image is what xorriso is asked for.
func (w *isoWriter) image() xorriso.Image {
	img := xorriso.Image{Created: w.plan.Epoch, DiskGUID: w.plan.DiskGUID}
	for _, r := range w.layout.Regions {
		part := r.Partition
		switch part.Spec.Filesystem {
		case filesystemISO:
			img.Tree, img.VolumeID, img.Modified, img.Scratch = part.Spec.Tree, part.Spec.Label, part.Modified, part.Spec.Scratch
		case filesystemFAT:
			img.Boot.ESP = regionBlob{r}
		}
	}
	if boot := w.plan.elTorito; boot != nil {
		img.Boot.BIOS, img.Boot.MBR = boot.Path, boot.Hybrid
	}
	return img
}

// A regionBlob is a region that is known before it is written as content.
type regionBlob struct{ region *Region }

// Size is the length in bytes.
func (b regionBlob) Size() int64 { return b.region.Size }

// Open costs nothing.
func (b regionBlob) Open() (tree.Reader, error) { return regionReader{b}, nil }

type regionReader struct{ regionBlob }

// ReadAt implements io.ReaderAt.
func (r regionReader) ReadAt(p []byte, off int64) (int, error) {
	n := max(0, min(int64(len(p)), r.Size()-off))
	if err := extent.ReadAt(r.region.Maker, p[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Close implements io.Closer.
func (regionReader) Close() error { return nil }

// result finds where the partitions have come to lie, and makes the digests.
func (w *isoWriter) result(ctx context.Context, v *iso9660.Volume, size int64) (*Result, error) {
	r := &Result{Written: size, Size: size}
	for _, region := range w.layout.Regions {
		r.Places = append(r.Places, placeOf(region, v))
	}
	if !w.opts.NoDigest {
		pieces, err := w.digest(ctx, size)
		if err != nil {
			return nil, err
		}
		r.Digest = pieces.Sum(0, size).String()
		for _, at := range r.Places {
			r.Partitions = append(r.Partitions, pieces.Sum(at.Offset, at.Size).String())
		}
	}
	if w.opts.SHA256 {
		var err error
		if r.SHA256, err = plainSum(ctx, w.file, size); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// placeOf is where a partition lies in the finished image: the ISO's tree at its front, the ESP behind it, and others where the files are
// that they are.
func placeOf(r *Region, v *iso9660.Volume) Place {
	part := r.Partition
	switch {
	case part.TypeGUID == partition.ESP:
		return Place{espOffset(v), r.Size}
	case part.Inside != "":
		if c, ok := v.Tree.Find(part.Path).Blob().(interface{ Parts() []tree.Range }); ok {
			return Place{c.Parts()[0].Off, v.Tree.Find(part.Path).Size()}
		}
	}
	return Place{0, v.Blocks * isoBlock}
}

// espOffset is where the boot catalog says that the ESP begins, in bytes.
func espOffset(v *iso9660.Volume) int64 {
	for _, b := range v.Boot {
		if b.Platform == iso9660.UEFI {
			return b.Offset
		}
	}
	return 0
}

// digest hashes the pieces of the image, several at a time.
func (w *isoWriter) digest(ctx context.Context, size int64) (*stream.Pieces, error) {
	pieces := stream.NewPieces(size)
	pieces.Expect(0, size)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(processors.Count())
	for off := int64(0); off < size; off += stream.PieceSize {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return pieces.Made(off, min(stream.PieceSize, size-off), w.file)
		})
	}
	return pieces, group.Wait()
}
