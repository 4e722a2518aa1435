// Package bmap writes the block map of a disk, with which bmaptool copies and verifies the image without its holes (bmap-tools, format 2.0).
package bmap

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"imprint/internal/pieces"
)

const (
	block = 4096
	unit  = 64 << 10 // bytes: ranges of zeros of at least this are holes, as they are in the image
)

// Create returns a writer of the map.
func Create(w io.Writer, d pieces.Disk) pieces.Writer {
	return &writer{w: w, disk: d, ranges: make([][]mapped, d.Count())}
}

type writer struct {
	w      io.Writer
	disk   pieces.Disk
	ranges [][]mapped // by piece
}

// A mapped range is blocks from first to last, with their SHA-256.
type mapped struct {
	first, last int64
	sum         [sha256.Size]byte
}

// Put implements pieces.Writer.
func (w *writer) Put(n int64, content []byte) error {
	from, size := 0, len(content)
	add := func(to int) {
		if from < to {
			off := n * w.disk.Piece
			w.ranges[n] = append(w.ranges[n], mapped{(off + int64(from)) / block, (off + int64(to) - 1) / block, sha256.Sum256(content[from:to])})
		}
	}
	for at := 0; at < size; at += unit {
		end := min(size, at+unit)
		if pieces.IsZero(content[at:end]) {
			add(at)
			from = end
		}
	}
	add(size)
	return nil
}

// Close implements pieces.Writer. The map contains its own checksum, computed with zeros in its place.
func (w *writer) Close() error {
	const none = "0000000000000000000000000000000000000000000000000000000000000000"
	text := w.text(none)
	sum := fmt.Sprintf("%x", sha256.Sum256(text))
	_, err := w.w.Write(bytes.Replace(text, []byte(none), []byte(sum), 1))
	return err
}

func (w *writer) text(sum string) []byte {
	count, list := int64(0), strings.Builder{}
	for _, ranges := range w.ranges {
		for _, r := range ranges {
			count += r.last - r.first + 1
			fmt.Fprintf(&list, "        <Range chksum=\"%x\"> %d-%d </Range>\n", r.sum, r.first, r.last)
		}
	}
	return fmt.Appendf(nil, `<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> %d </ImageSize>
    <BlockSize> %d </BlockSize>
    <BlocksCount> %d </BlocksCount>
    <MappedBlocksCount> %d </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> %s </BmapFileChecksum>
    <BlockMap>
%s    </BlockMap>
</bmap>
`, w.disk.Size, block, (w.disk.Size+block-1)/block, count, sum, list.String())
}
