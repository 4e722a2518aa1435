package gpt_test

import (
	"bytes"
	"io"
	"testing"

	"imprint/image/gpt"
	"imprint/internal/extent"
	"imprint/internal/repro"
)

// The end is where the disk was, whatever follows, unless there is no backup.
func TestEnd(t *testing.T) {
	seed := repro.SeedOf("the end")
	for _, sector := range []int64{512, 4096} {
		const sectors = 4096
		table := gpt.Table{DiskGUID: seed.UUID("disk"), SectorSize: sector, Sectors: sectors}
		extents, err := table.Extents()
		if err != nil {
			t.Fatal(err)
		}
		size, grown := sectors*sector, sectors*sector+5<<20
		r, err := extent.NewBlob(extents, grown).Open()
		if err != nil {
			t.Fatal(err)
		}
		disk := make([]byte, grown)
		if _, err := r.ReadAt(disk, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		at := func(n int64) int64 { return gpt.End(bytes.NewReader(disk[:n]), n) }
		if at(size) != size || at(grown) != size || at(size-sector) != size-sector {
			t.Errorf("sectors of %d: %d, grown %d, truncated %d; want %d", sector, at(size), at(grown), at(size-sector), size)
		}
		clear(disk[size-sector : size])
		if at(grown) != grown {
			t.Errorf("sectors of %d: %d without a backup", sector, at(grown))
		}
		if empty := make([]byte, size); gpt.End(bytes.NewReader(empty), size) != size {
			t.Error("an empty disk has an end")
		}
	}
}
