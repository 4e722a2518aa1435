package container

import (
	"context"
	"fmt"
	"io"

	"imprint/container/codec"
	"imprint/container/gce"
	"imprint/internal/pieces"
)

// An Archive is a disk that can only be read from its start, since it is compressed as a whole. It is the error of [Open] for one.
type Archive struct {
	file io.ReaderAt
	size int64
}

// Error implements error.
func (a *Archive) Error() string {
	return unreadable("a tar.gz with a disk", "tar -xSzf").Error()
}

// archiveIn returns the archive that a gzip file is, nil if it is none.
func archiveIn(file io.ReaderAt, size int64) *Archive {
	a := &Archive{file, size}
	r, err := a.reader()
	if err != nil {
		return nil
	}
	start := make([]byte, 512) // the first header
	if _, err := io.ReadFull(r, start); err != nil || !gce.Is(start) {
		return nil
	}
	return a
}

func (a *Archive) reader() (io.Reader, error) {
	return codec.Gunzip(io.NewSectionReader(a.file, 0, a.size))
}

// Expand writes the disk to an empty file, with its holes.
func (a *Archive) Expand(ctx context.Context, to pieces.File) error {
	r, err := a.reader()
	if err != nil {
		return err
	}
	size, err := gce.Read(r, make([]byte, leastPiece), func(content []byte, off int64) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return pieces.WriteData(to, content, off, rawGrain)
	})
	if err != nil {
		return fmt.Errorf("expand the archive: %w", err)
	}
	return to.Truncate(size)
}
