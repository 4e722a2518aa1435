package container

import (
	"context"
	"io"

	"imprint/internal/pieces"
)

// rawGrain is the size in bytes of the aligned blocks that become holes if they are zero.
const rawGrain = 64 << 10

// rawWriter writes another raw copy of the disk.
type rawWriter struct {
	file pieces.File
	disk pieces.Disk
}

// Put implements pieces.Writer.
func (w *rawWriter) Put(n int64, content []byte) error {
	return pieces.WriteData(w.file, content, n*w.disk.Piece, rawGrain)
}

// Close implements pieces.Writer.
func (w *rawWriter) Close() error { return w.file.Truncate(w.disk.Size) }

// inOrder returns a writer of the disk from its start to its end, with its holes as zeros.
func inOrder(w io.Writer, spool pieces.File, d pieces.Disk) pieces.Writer {
	return pieces.NewOrdered(d, pieces.Sink{Spool: spool}, pieces.Packing{
		Pack: func(dst, part []byte) ([]byte, error) { return append(dst, part...), nil },
		Emit: func(_ int64, part []byte) error { _, err := w.Write(part); return err },
	})
}

// Expand writes the disk in a file of any format to an empty file, with its holes.
func Expand(ctx context.Context, to pieces.File, disk *pieces.Image) error {
	buf := make([]byte, leastPiece)
	for off := disk.NextData(0); off < disk.Size(); off = disk.NextData(off + int64(len(buf))) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		off -= off % rawGrain
		buf = buf[:min(leastPiece, disk.Size()-off)]
		if err := pieces.ReadFull(disk, buf, off); err != nil {
			return err
		}
		if err := pieces.WriteData(to, buf, off, rawGrain); err != nil {
			return err
		}
	}
	return to.Truncate(disk.Size())
}
