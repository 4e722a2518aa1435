package container

import (
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
	return pieces.NewOrdered(d, spool, pieces.Packing{
		Pack: func(dst, part []byte) ([]byte, error) { return append(dst, part...), nil },
		Emit: func(_ int64, part []byte) error { _, err := w.Write(part); return err },
	})
}
