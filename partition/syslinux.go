package partition

import (
	"context"
	"io"
	"iter"
	"os"

	"imprint/internal/extent"
	"imprint/partition/fat"
	"imprint/partition/syslinux"
)

// bootFAT is a FAT volume of our own making, on which the host's syslinux installs itself afterwards.
type bootFAT struct {
	plan    *fat.Plan
	epoch   int64
	scratch string // directory for what the program needs besides
}

func newSyslinux(s Spec) (Maker, error) {
	s.Free += syslinux.Room
	m, err := newFAT(s)
	if err != nil {
		return nil, err
	}
	return bootFAT{m.(fatMaker).Plan, s.Epoch, s.Scratch}, nil
}

// Size implements Maker.
func (b bootFAT) Size() int64 { return b.plan.Size() }

// Extents implements extent.Source: what syslinux writes is not known before it has run.
func (bootFAT) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (b bootFAT) Stats() Stats { return fatMaker{b.plan}.Stats() }

// Make implements HostMade.
func (b bootFAT) Make(ctx context.Context, file string, offset int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for e := range b.plan.Extents(0) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := copyExtent(f, offset, e); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syslinux.Install(ctx, file, offset, b.epoch, b.scratch)
}

// copyExtent writes an extent of a region that begins at offset.
func copyExtent(f io.WriterAt, offset int64, e extent.Extent) error {
	r, err := e.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(io.NewOffsetWriter(f, offset+e.Off), io.NewSectionReader(r, e.At, e.Len))
	if err == nil && n < e.Len {
		err = io.ErrUnexpectedEOF
	}
	return err
}
