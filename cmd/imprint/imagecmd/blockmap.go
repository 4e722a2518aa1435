package imagecmd

import (
	"context"
	"fmt"
	"os"

	"imprint/container/bmap"
	"imprint/image/disk"
	"imprint/internal/fault"
	"imprint/internal/units"
)

// A check compares an image with something else, and returns what the report says of it.
type check func(ctx context.Context, d *disk.Disk, report func(disk.Fault)) (string, error)

// byMap returns the check of the checksums in a block map.
func byMap(name string) check {
	return func(ctx context.Context, d *disk.Disk, report func(disk.Fault)) (string, error) {
		m, err := readMap(name)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
		differs := func(off int64, text string) {
			report(disk.Fault{Fault: fault.Fault{Offset: off, Object: "block map", Text: text}})
		}
		if m.Size != d.Size {
			differs(-1, fault.Mismatch("size", d.Size, m.Size))
			return "", nil
		}
		n, err := m.Compare(d.Image(), make([]byte, 1<<20), ctx.Err, func(off, size int64) {
			differs(off, fmt.Sprintf("%d bytes have another checksum", size))
		})
		return fmt.Sprintf(", %s of the block map equal", units.Count(n, "range")), err
	}
}

func readMap(name string) (*bmap.Map, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bmap.Read(f)
}
