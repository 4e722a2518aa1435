package container

import "imprint/internal/pieces"

// rawGrain is the unit in bytes in which zeros are not written.
const rawGrain = 64 << 10

// rawWriter writes a further copy of the disk.
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
