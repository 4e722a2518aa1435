package tree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"sync"

	"imprint/internal/sha256pair"
)

// HoleSize is the unit in bytes in which zeros make a hole: large enough that a hole is worth an extent.
const HoleSize = 64 << 10

// A Pinner computes the [Pin] of the content that is written to it, and finds its holes: the units of [HoleSize] bytes that hold only zeros. Both
// depend only on the content, not on how it is stored or divided into writes. The time is in proportion to the bytes outside of holes, so that
// a file of terabytes with little data is pinned at once.
//
// The zero Pinner is not ready: use [NewPinner].
type Pinner struct {
	sum   *sha256pair.Hash // of the bytes outside of holes
	data  []Range          // their ranges
	at    int64            // bytes written
	zeros int64            // zeros at the front of the current unit, which has no other bytes yet, and that are in no range
	holes bool
}

// NewPinner returns a Pinner of the content "".
func NewPinner() *Pinner { return &Pinner{sum: sha256pair.New()} }

var zeroUnit [HoleSize]byte

// Write implements io.Writer. It never fails.
func (p *Pinner) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		part := rest[:min(int64(len(rest)), HoleSize-p.at%HoleSize)]
		if p.zeros == p.at%HoleSize && isZero(part) {
			p.unit(int64(len(part)))
		} else {
			p.settle()
			p.add(part)
		}
		rest = rest[len(part):]
	}
	return len(b), nil
}

// WriteBlocks implements [sha256pair.Writer].
func (p *Pinner) WriteBlocks(b []byte, sums [][sha256.Size]byte) {
	if p.at%sha256pair.BlockSize != 0 { // no unit begins with a block
		p.Write(b)
		sha256pair.Blocks(b, sums)
		return
	}
	for len(b) > 0 {
		part := b[:min(int64(len(b)), HoleSize-p.at%HoleSize)]
		blocks := sums[:len(part)/sha256pair.BlockSize]
		b, sums = b[len(part):], sums[len(blocks):]
		if p.zeros == p.at%HoleSize && isZero(part) {
			p.unit(int64(len(part)))
			sha256pair.Blocks(part, blocks)
			continue
		}
		p.settle()
		p.sum.WriteBlocks(part, blocks)
		p.added(int64(len(part)))
	}
}

// WriteZeros implements ZeroWriter.
func (p *Pinner) WriteZeros(n int64) error {
	front := min(n, (HoleSize-p.at%HoleSize)%HoleSize)
	p.Write(zeroUnit[:front])
	n -= front
	if whole := n &^ (HoleSize - 1); whole > 0 {
		p.at += whole
		p.holes = true
		n -= whole
	}
	p.Write(zeroUnit[:n])
	return nil
}

// unit takes zeros of a unit that has no other bytes yet.
func (p *Pinner) unit(n int64) {
	p.at += n
	if p.zeros += n; p.zeros == HoleSize {
		p.zeros, p.holes = 0, true
	}
}

// settle makes the zeros of the current unit data, since another byte follows them there, or the end of the content.
func (p *Pinner) settle() {
	if n := p.zeros; n > 0 {
		p.at, p.zeros = p.at-n, 0
		p.add(zeroUnit[:n])
	}
}

func (p *Pinner) add(b []byte) {
	p.sum.Write(b)
	p.added(int64(len(b)))
}

// added counts bytes of data.
func (p *Pinner) added(n int64) {
	if k := len(p.data) - 1; k >= 0 && p.data[k].End() == p.at {
		p.data[k].Len += n
	} else {
		p.data = append(p.data, Range{p.at, n})
	}
	p.at += n
}

// Pin returns the pin of everything that was written. For content without holes it is the SHA-256. With holes it is another hash, so that no
// content without them can have the same: the SHA-512/256 of the length in bytes, the SHA-256 of the data, and offset and length of each run of
// data, all numbers in 8 bytes, little-endian. Nothing may be written afterwards.
func (p *Pinner) Pin() (sum Pin) {
	p.settle()
	p.sum.Sum(sum[:0])
	if !p.holes {
		return sum
	}
	h := sha512.New512_256()
	h.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(p.at)), sum[:]...))
	for _, r := range p.data {
		h.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(r.Off)), uint64(r.Len)))
	}
	h.Sum(sum[:0])
	return sum
}

// Blob returns b, whose content was written, with its pin and its holes, unless it has holes of its own.
func (p *Pinner) Blob(b Blob) Blob {
	sum := p.Pin()
	if _, sparse := b.(SparseBlob); !sparse && p.holes {
		b = Sparse(b, p.data)
	}
	return Pinned(b, sum)
}

// pinBuffers are what PinContent reads into: files are many and mostly small.
var pinBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// PinContent reads a blob and returns it with its pin and its holes. Holes depend only on the content, so that a file is equally sparse in every
// image, however the host's file system stores it. The content is also written to more. Errors are those of [Copy].
func PinContent(ctx context.Context, b Blob, more ...ZeroWriter) (Blob, error) {
	buf := pinBuffers.Get().(*[copyBuffer]byte)
	defer pinBuffers.Put(buf)
	p := NewPinner()
	if err := Copy(ctx, Tee(append(more, p)...), b, buf[:]); err != nil {
		return nil, err
	}
	return p.Blob(b), nil
}

// isZero compares the ends first, which nearly always differ from zero if anything does.
func isZero(p []byte) bool {
	if len(p) == 0 || p[0] != 0 || p[len(p)-1] != 0 {
		return len(p) == 0
	}
	for ; len(p) > HoleSize; p = p[HoleSize:] {
		if !bytes.Equal(p[:HoleSize], zeroUnit[:]) {
			return false
		}
	}
	return bytes.Equal(p, zeroUnit[:len(p)])
}
