package squashfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// dataSize is the number of bytes of a content outside of its holes.
func dataSize(b tree.Blob) (sum int64) {
	for _, r := range tree.DataOf(b) {
		sum += r.Len
	}
	return sum
}

// sparseMap returns what an archive holds of a content with holes: ranges in order and apart from one another, each of whole blocks of tar;
// nil for a content without holes. sqfstar 4.5 reads beyond such a list, and takes what it finds there for a part of it, unless the end of
// the content is a range of its own, and another range comes before that: so there is one of each.
func sparseMap(b tree.Blob) (list []tree.Range) {
	size := b.Size()
	if dataSize(b) == size || size < 2*tarBlock {
		return nil
	}
	tail := (size - 1) &^ (tarBlock - 1)
	for _, r := range tree.DataOf(b) {
		begin, end := r.Off&^(tarBlock-1), min(units.Align(r.End(), tarBlock), tail)
		if n := len(list); n > 0 && begin <= list[n-1].End() {
			begin = list[n-1].Off
			list = list[:n-1]
		}
		if begin < end {
			list = append(list, tree.Range{Off: begin, Len: end - begin})
		}
	}
	if len(list) == 0 {
		list = []tree.Range{{Off: 0, Len: tarBlock}}
	}
	return append(list, tree.Range{Off: tail, Len: size - tail})
}

// Entries of the list of ranges in a header of old GNU tar, and in each block that continues it ("Storing Sparse Files").
const (
	inHeader   = 4
	inBlock    = 21
	entrySize  = 24
	headerList = 386
)

// sparseHeader returns the header of a file with holes, with the blocks that continue it.
func sparseHeader(h *tar.Header, data []tree.Range) []byte {
	header := make([]byte, tarBlock)
	copy(header, "sparse") // its name is in the member before
	stored := *h
	stored.Typeflag, stored.Size = typeSparse, 0
	for _, r := range data {
		stored.Size += r.Len
	}
	number(header[483:495], h.Size)
	rest := entries(header[headerList:], data, inHeader)
	fields(header, &stored)
	for len(rest) > 0 {
		block := make([]byte, tarBlock)
		rest = entries(block, rest, inBlock)
		header = append(header, block...)
	}
	return header
}

// entries writes up to most ranges, and whether there are more, and returns those.
func entries(list []byte, data []tree.Range, most int) []tree.Range {
	n := min(most, len(data))
	for i, r := range data[:n] {
		number(list[i*entrySize:][:entrySize/2], r.Off)
		number(list[i*entrySize+entrySize/2:][:entrySize/2], r.Len)
	}
	if len(data) > n {
		list[most*entrySize] = 1
	}
	return data[n:]
}

// A dataWriter takes all of a content, and writes the ranges that the archive holds.
type dataWriter struct {
	out  io.Writer
	data []tree.Range // those not complete
	at   int64
}

// Write implements io.Writer. What is in no range has to be zeros.
func (w *dataWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n, inside := w.span(int64(len(rest)))
		if err := w.pass(rest[:n], inside); err != nil {
			return len(p) - len(rest), err
		}
		w.at += n
		rest = rest[n:]
	}
	return len(p), nil
}

// pass writes a part of one range, or of one hole.
func (w *dataWriter) pass(p []byte, inside bool) error {
	if inside {
		_, err := w.out.Write(p)
		return err
	}
	for ; len(p) > 0; p = p[min(len(p), len(zeros)):] {
		if part := p[:min(len(p), len(zeros))]; !bytes.Equal(part, zeros[:len(part)]) {
			return fmt.Errorf("%w: a hole near byte %d is none", tree.ErrChanged, w.at)
		}
	}
	return nil
}

// WriteZeros implements tree.ZeroWriter.
func (w *dataWriter) WriteZeros(n int64) error {
	for n > 0 {
		step, inside := w.span(n)
		if inside {
			step = min(step, int64(len(zeros)))
			if _, err := w.out.Write(zeros[:step]); err != nil {
				return err
			}
		}
		w.at += step
		n -= step
	}
	return nil
}

var zeros [64 << 10]byte

// span returns how many of the next n bytes are in one range, or in one hole.
func (w *dataWriter) span(n int64) (step int64, inside bool) {
	for len(w.data) > 0 && w.data[0].End() <= w.at {
		w.data = w.data[1:]
	}
	switch {
	case len(w.data) == 0:
		return n, false
	case w.at < w.data[0].Off:
		return min(n, w.data[0].Off-w.at), false
	}
	return min(n, w.data[0].End()-w.at), true
}

// pad ends the member of a file of size bytes.
func (w *dataWriter) pad(size int64) error {
	if w.at != size {
		return fmt.Errorf("content of %d bytes, not %d: %w", w.at, size, tree.ErrChanged)
	}
	_, err := w.out.Write(zeros[:units.Align(size, tarBlock)-size])
	return err
}
