package write

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"imprint/image/plan"
	"imprint/internal/pieces"
	"imprint/internal/repro"
	"imprint/internal/restore"
	"imprint/internal/tree"
	"imprint/internal/verity"
)

// A Stored is a disk that can be read without its sources, with its manifest.
type Stored struct {
	restore.Disk
	Data     []tree.Range // outside of which it has zeros, sorted
	Manifest *plan.Manifest
}

// Restore writes a disk to an empty file, and to the outputs of other formats. It returns the digests of its spans, and the plain SHA-256 if the
// options ask for that. What it reads is not verified: the caller compares the digests.
func Restore(ctx context.Context, file *os.File, d *Stored, o Options) (sums restore.Sums, sha256 string, err error) {
	seed, err := repro.ParseSeed(d.Manifest.Seed)
	if err != nil {
		return nil, "", err
	}
	if err := file.Truncate(d.Size); err != nil {
		return nil, "", fmt.Errorf("make a file of %d bytes: %w", d.Size, err)
	}
	if err := o.spaceFor(file, d.dataBytes(), 0, nil); err != nil {
		return nil, "", err
	}
	var written atomic.Int64
	if o.Progress != nil {
		o.Progress(&Meter{written: written.Load, Total: d.dataBytes()})
	}
	if !o.NoSync && !o.Scratch {
		defer o.back(o.SHA256)(file)()
	}
	f, err := startFormats(o.Formats, d.Manifest, seed, pieces.Disk{Size: d.Size, Hole: d.holes()}, nil)
	defer f.discard()
	if err != nil {
		return nil, "", err
	}
	if !o.NoSync {
		f.writeBack(o.back(false))
	}
	raw := pieces.File(file)
	if !o.Scratch && !o.SHA256 {
		if raw, err = f.direct(file); err != nil {
			return nil, "", err
		}
	}
	sums, err = d.Whole(ctx, d.Data, func(n int64, p []byte) error {
		written.Add(int64(len(p)))
		if !o.Scratch || o.SHA256 {
			if err := pieces.WriteData(raw, p, n*restore.Piece, verity.BlockSize); err != nil {
				return err
			}
		}
		return f.take(n, p)
	})
	if err == nil {
		err = f.finish()
	}
	if err == nil && o.SHA256 {
		sha256, err = plainSum(ctx, file, d.Size)
	}
	return sums, sha256, err
}

// dataBytes returns how many bytes are not in holes.
func (d *Stored) dataBytes() (total int64) {
	for _, r := range d.Data {
		total += r.Len
	}
	return total
}

// holes returns what reports whether a piece of the disk is a hole.
func (d *Stored) holes() func(n int64) bool {
	full := map[int64]bool{}
	for _, n := range restore.Units(d.Data, restore.Piece) {
		full[n] = true
	}
	return func(n int64) bool { return !full[n] }
}
