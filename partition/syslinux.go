package partition

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"imprint/internal/extent"
	"imprint/internal/tree"
	"imprint/internal/units"
	"imprint/partition/fat"
	"imprint/partition/syslinux"
)

// bootFAT is a native FAT volume on which the host's syslinux then installs itself. It changes the boot sector and adds a
// file, so the region counts as made by a host tool.
type bootFAT struct {
	plan    *fat.Plan
	epoch   int64
	nodes   int    // of the tree
	scratch string // directory for the program's temporary files
}

func newSyslinux(s Spec) (Maker, error) {
	s.Free += syslinux.Room
	m, err := newFAT(s)
	if err != nil {
		return nil, err
	}
	return bootFAT{m.(fatMaker).Plan, s.Epoch, s.Tree.Len(), s.Scratch}, nil
}

// Size implements Maker.
func (b bootFAT) Size() int64 { return b.plan.Size() }

// Extents implements extent.Source. What syslinux writes is not known until it has run.
func (bootFAT) Extents(int64) iter.Seq[extent.Extent] { return extent.List(nil).Extents(0) }

// Stats implements Describer.
func (b bootFAT) Stats() Stats { return fatMaker{Plan: b.plan}.Stats() }

// Scratch implements HostMade: the program needs a configuration for mtools.
func (bootFAT) Scratch() int64 { return 4 * units.KiB }

// Fill implements HostMade.
func (b bootFAT) Fill(ctx context.Context, file string, offset int64) (Packer, error) {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	w := &fatFiller{bootFAT: b, ctx: ctx, file: f, name: file, offset: offset}
	for e := range b.plan.Extents(0) {
		if !e.Meta {
			continue
		}
		if err := w.structure(e); err != nil {
			f.Close()
			return nil, err
		}
	}
	return w, nil
}

// A fatFiller writes the volume, and has syslinux installed on it when it is complete.
type fatFiller struct {
	bootFAT
	ctx    context.Context
	file   *os.File
	name   string
	offset int64 // of the region in the file, bytes
	added  int   // nodes
}

// structure writes an extent of the volume's metadata.
func (w *fatFiller) structure(e extent.Extent) error {
	r, err := e.Blob.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(io.NewOffsetWriter(w.file, w.offset+e.Off), io.NewSectionReader(r, e.At, e.Len))
	if err == nil && n < e.Len {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Add implements Packer. A further name of a file gets a copy of its content.
func (w *fatFiller) Add(_ string, n *tree.Node, content func(io.Writer) error) error {
	w.added++
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if n.Inode().Kind() != tree.File {
		return nil
	}
	return content(&placeWriter{to: w.file, offset: w.offset, places: w.plan.Place(nil, n)})
}

// Close implements Packer.
func (w *fatFiller) Close() error {
	if err := w.file.Close(); err != nil {
		return err
	}
	if w.added < w.nodes {
		return fmt.Errorf("aborted after %d of %d nodes", w.added, w.nodes)
	}
	return syslinux.Install(w.ctx, w.name, w.offset, w.epoch, w.scratch)
}

// A placeWriter writes a content to its extents. Bytes outside of all extents are zeros, and skipped.
type placeWriter struct {
	to     io.WriterAt
	offset int64           // of the region, bytes
	places []extent.Extent // in the order of the content
	at     int64           // bytes received
}

// Write implements io.Writer.
func (w *placeWriter) Write(p []byte) (int, error) {
	for _, e := range w.places {
		lo, hi := max(w.at, e.At), min(w.at+int64(len(p)), e.At+e.Len)
		if lo >= hi {
			continue
		}
		if _, err := w.to.WriteAt(p[lo-w.at:hi-w.at], w.offset+e.Off+lo-e.At); err != nil {
			return 0, err
		}
	}
	w.at += int64(len(p))
	return len(p), nil
}
