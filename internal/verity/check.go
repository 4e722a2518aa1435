package verity

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"imprint/internal/fault"
)

// ErrUnknown is the error for contents that [Check] cannot read: not a hash device, or one with a salt, another hash or other block sizes.
var ErrUnknown = errors.New("no hash device without a salt, of SHA-256 and blocks of 4096 bytes")

// maxLeaves bounds the memory of a check: the leaves of 64 GiB of data.
const maxLeaves = 16 << 20

// A Reader is a block device of size bytes, or a part of one.
type Reader struct {
	io.ReaderAt
	Size int64
}

// DataSize returns the number of bytes of data that a hash device is for. The error is [ErrUnknown], or that of reading.
func DataSize(device Reader) (int64, error) {
	head := make([]byte, 512)
	if device.Size < BlockSize {
		return 0, ErrUnknown
	}
	if _, err := device.ReadAt(head, 0); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	n := le.Uint64(head[72:])
	algorithm, _, _ := bytes.Cut(head[32:64], []byte{0})
	if string(head[:8]) != signature || le.Uint32(head[8:]) != 1 || le.Uint32(head[12:]) != 1 || string(algorithm) != "sha256" ||
		le.Uint32(head[64:]) != BlockSize || le.Uint32(head[68:]) != BlockSize || le.Uint16(head[80:]) != 0 || n == 0 || n > maxLeaves {
		return 0, ErrUnknown
	}
	return int64(n) * BlockSize, nil
}

// Check reads data and its tree, and reports each block of data whose digest differs from that in the tree, and blocks of the tree that do not
// match those below. Offsets are in the hash device. The errors are those of [DataSize] and of reading.
func Check(ctx context.Context, data, device Reader, report fault.Report) error {
	size, err := DataSize(device)
	if err != nil {
		return err
	}
	if size > data.Size {
		report(fault.Fault{Offset: 72, Object: "dm-verity superblock", Text: fmt.Sprintf("it is for %d bytes of data, but the partition has %d", size, data.Size)})
		return nil
	}
	leaves, err := leavesOf(ctx, data, size)
	if err != nil {
		return err
	}
	t := NewTree(leaves)
	if need := t.deviceSize(); need > device.Size {
		report(fault.Fault{Offset: 72, Object: "dm-verity superblock", Text: fmt.Sprintf("the tree has %d bytes, but the partition has %d", need, device.Size)})
		return nil
	}
	return t.compare(device, report)
}

// leavesOf returns the digests of the blocks of size bytes of data.
func leavesOf(ctx context.Context, data Reader, size int64) ([]Hash, error) {
	const piece = 4 << 20
	leaves, b := make([]Hash, 0, size/BlockSize), make([]byte, min(piece, size))
	for off := int64(0); off < size; off += piece {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b = b[:min(piece, size-off)]
		if _, err := data.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		n := len(leaves)
		leaves = leaves[:n+len(b)/BlockSize]
		Leaves(b, leaves[n:])
	}
	return leaves, nil
}

// compare compares the levels of a tree that was computed with those of a device. A digest that differs makes those above it differ, so only
// the lowest are reported.
func (t Tree) compare(device Reader, report fault.Report) error {
	at := t.deviceSize()
	for i, level := range t.levels {
		at -= int64(Count(int64(len(level))*hashSize)) * BlockSize
		stored := make([]byte, int64(len(level))*hashSize)
		if _, err := device.ReadAt(stored, at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		differ := 0
		for k, h := range level {
			if bytes.Equal(h[:], stored[int64(k)*hashSize:][:hashSize]) {
				continue
			}
			if differ++; differ <= mostFaults {
				report(fault.Fault{Offset: at + int64(k)*hashSize, Object: fmt.Sprintf("dm-verity level %d", i),
					Text: fmt.Sprintf("block %d has the SHA-256 %x, the tree has %x", k, h[:4], stored[int64(k)*hashSize:][:4])})
			}
		}
		if differ > 0 {
			return nil
		}
	}
	return nil
}

// mostFaults is the number of blocks that are reported.
const mostFaults = 10

// deviceSize returns the length in bytes of the result of Device.
func (t Tree) deviceSize() int64 {
	n := int64(BlockSize)
	for _, level := range t.levels {
		n += int64(Count(int64(len(level))*hashSize)) * BlockSize
	}
	return n
}
