package gpt

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	mbrEntrySize   = 16
	mbrRecords     = 4
	protectiveType = 0xee
	activeMark     = 0x80
)

// MaxHybrid is the number of partitions that a hybrid MBR has room for beside the protective one.
const MaxHybrid = mbrRecords - 1

// putRecords sets the records of the MBR. A protective one has a partition over the whole disk (UEFI, 5.2.3). A hybrid one begins with
// the partitions that it shares with the GPT, since firmware that knows no GPT looks at the first; the protective partition follows, and
// covers what is before all of them.
func (t Table) putRecords(b []byte) {
	clear(b[:mbrRecords*mbrEntrySize])
	n, end := 0, t.Sectors
	for _, p := range t.Partitions {
		if p.MBRType != 0 {
			putRecord(b[n*mbrEntrySize:], p.MBRType, p.Start, p.Sectors)
			n, end = n+1, min(end, p.Start)
		}
	}
	putRecord(b[n*mbrEntrySize:], protectiveType, 1, end-1)
	if t.Active {
		b[0] = activeMark
	}
}

func putRecord(b []byte, kind byte, start, sectors int64) {
	first, last := cylinders(start), cylinders(start+sectors-1)
	copy(b[1:], first[:])
	b[4] = kind
	copy(b[5:], last[:])
	binary.LittleEndian.PutUint32(b[8:], uint32(start))
	binary.LittleEndian.PutUint32(b[12:], uint32(min(sectors, math.MaxUint32)))
}

// hybrid returns the number of partitions in the MBR, and the first sector of them; the end of the disk if there are none.
func (t Table) hybrid() (n int, first int64) {
	first = t.Sectors
	for _, p := range t.Partitions {
		if p.MBRType != 0 {
			n, first = n+1, min(first, p.Start)
		}
	}
	return n, first
}

// checkHybrid reports partitions that a hybrid MBR cannot hold.
func (t Table) checkHybrid() error {
	if n, _ := t.hybrid(); n > MaxHybrid {
		return fmt.Errorf("gpt: %d partitions in the MBR, which has room for %d", n, MaxHybrid)
	}
	for i, p := range t.Partitions {
		switch {
		case p.MBRType == 0:
		case p.MBRType == protectiveType:
			return fmt.Errorf("gpt: %s: the type 0xee in the MBR is that of the protective partition", t.label(i))
		case p.Start+p.Sectors-1 > math.MaxUint32:
			return fmt.Errorf("gpt: %s: its last sector is %d, but an MBR counts up to %d", t.label(i), p.Start+p.Sectors-1, uint32(math.MaxUint32))
		}
	}
	return nil
}

// protectedSectors returns the size of the protective partition in sectors.
func (t Table) protectedSectors() uint32 {
	_, first := t.hybrid()
	return uint32(min(first-1, math.MaxUint32))
}

// addRecords completes a table that was read with what only its MBR says: which partitions are in it, with which type, and whether the
// first is active. It returns the records of type 0xee, and the others that are no partition of the GPT, as indices.
func (t *Table) addRecords(records [mbrRecords]mbrEntry) (protective, foreign []int) {
	for i, e := range records {
		switch {
		case e == (mbrEntry{}):
		case e.OSType == protectiveType:
			protective = append(protective, i)
		case !t.share(e):
			foreign = append(foreign, i)
		}
	}
	t.Active = records[0].BootIndicator == activeMark
	return protective, foreign
}

// share sets the type in the MBR of the partition that a record is for; false if there is none.
func (t *Table) share(e mbrEntry) bool {
	for i, p := range t.Partitions {
		if p.MBRType == 0 && e.OSType != 0 && p.Sectors > 0 && p.Start == int64(e.StartingLBA) && p.Sectors == int64(e.SizeInLBA) {
			t.Partitions[i].MBRType = e.OSType
			return true
		}
	}
	return false
}
