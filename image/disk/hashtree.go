package disk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"imprint/internal/fault"
	"imprint/internal/verity"
)

// hashTrees compares partitions with their dm-verity hash trees, as far as they are known: without a salt.
func (d *Disk) hashTrees(ctx context.Context, report func(Fault)) error {
	for _, r := range d.Regions {
		base, ok := strings.CutSuffix(r.Type, "-verity")
		if !ok || r.Err != nil {
			continue
		}
		device := verity.Reader{ReaderAt: r.content, Size: r.Size}
		size, err := verity.DataSize(device)
		if errors.Is(err, verity.ErrUnknown) {
			continue
		}
		if err != nil {
			return fmt.Errorf("verify %v: %w", r, err)
		}
		data := d.dataOf(r, base, size)
		if data == nil {
			continue
		}
		of := verity.Reader{ReaderAt: data.content, Size: data.Size}
		err = verity.Check(ctx, of, device, func(f fault.Fault) {
			f.Text += fmt.Sprintf(" (of %v)", data)
			report(Fault{r.String(), f})
		})
		if err != nil {
			return fmt.Errorf("verify %v: %w", r, err)
		}
	}
	return nil
}

// dataOf returns the partition of a type that a hash tree over size bytes is for: the one whose UUID is the first half of the root hash
// (Discoverable Partitions Specification), or else the only one of that size.
func (d *Disk) dataOf(tree *Region, kind string, size int64) (found *Region) {
	top := make([]byte, verity.BlockSize)
	if _, err := tree.content.ReadAt(top, verity.BlockSize); err != nil {
		return nil
	}
	root, n := sha256.Sum256(top), 0
	for _, r := range d.Regions {
		if r.Type != kind || r.Err != nil {
			continue
		}
		if strings.ReplaceAll(r.PartUUID, "-", "") == hex.EncodeToString(root[:16]) {
			return r
		}
		if r.Size == size {
			found = r
			n++
		}
	}
	if n != 1 {
		return nil
	}
	return found
}
