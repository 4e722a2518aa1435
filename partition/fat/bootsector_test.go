package fat

import (
	"bytes"
	"encoding/binary"
	"testing"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

func TestStructureSizes(t *testing.T) {
	for _, c := range []struct {
		v    any
		want int
	}{
		{bootSector{}, 36}, {bootSector32{}, 28}, {bootSectorEnd{}, 26}, {infoSector{}, 512}, {dirEntry{}, slotSize}, {longEntry{}, slotSize},
	} {
		if got := binary.Size(c.v); got != c.want {
			t.Errorf("%T has %d bytes, not %d", c.v, got, c.want)
		}
	}
}

// The structures of a volume are read back as they were planned.
func TestStructuresReadBack(t *testing.T) {
	root, err := tree.NewBuilder(&tree.Attr{}).Tree()
	if err != nil {
		t.Fatal(err)
	}
	for _, bits := range []int{12, 16, 32} {
		p, err := New(root, Options{SectorSize: 512, Bits: bits, Label: "LABEL", Serial: 0x1234abcd, HiddenSectors: 2048, Free: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 8*512)
		if err := extent.ReadAt(p, b, 0); err != nil {
			t.Fatal(err)
		}
		var boot bootSector
		var large bootSector32
		var end bootSectorEnd
		r := bytes.NewReader(b)
		read := func(v any) {
			if err := binary.Read(r, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
		if read(&boot); bits == 32 {
			read(&large)
		}
		read(&end)
		fatSize := int64(boot.FATSz16) + int64(large.FATSz32)
		if fatSize != p.vol.fat || int64(boot.TotSec16)+int64(boot.TotSec32) != p.vol.total || boot.HiddSec != 2048 {
			t.Errorf("FAT%d: %d sectors in a FAT, %+v", bits, fatSize, boot)
		}
		if end.VolID != 0x1234abcd || string(end.VolLab[:]) != "LABEL      " || b[510] != 0x55 || b[511] != 0xaa {
			t.Errorf("FAT%d: %+v", bits, end)
		}
		if bits != 32 {
			continue
		}
		if !bytes.Equal(b[:1024], b[6*512:]) {
			t.Error("the copies in sectors 6 and 7 differ")
		}
		var info infoSector
		r.Seek(512, 0)
		if read(&info); info.LeadSig != leadSig || info.TrailSig != trailSig || int64(info.FreeCount) != p.FreeClusters() {
			t.Errorf("FSInfo: %d free clusters", info.FreeCount)
		}
	}
}
