package pieces

// Slots assigns each piece with data a slot in a file, in the order of pieces, so that pieces can be written in any order. A slot consists of
// units, such as the clusters of a format. Units of zeros are not written, and stay holes of the file.
type Slots struct {
	disk  Disk
	file  File
	start int64  // offset of the first slot
	unit  int64  // bytes of the disk in each unit
	lead  []byte // bytes before each unit
	rank  []int32
	used  []uint64 // by piece: which units have data
	full  int64
}

// NewSlots returns slots that begin at offset start of a file. lead is written before each unit of unit bytes. A piece may have at most 64
// units, since a word has a bit for each.
func NewSlots(d Disk, file File, start, unit int64, lead []byte) *Slots {
	s := &Slots{disk: d, file: file, start: start, unit: unit, lead: lead, rank: make([]int32, d.Count()), used: make([]uint64, d.Count())}
	for n := range s.rank {
		s.rank[n] = int32(s.full)
		if !d.Hole(int64(n)) {
			s.full++
		}
	}
	return s
}

// stride returns the length of a unit in the file, with the lead.
func (s *Slots) stride() int64 { return int64(len(s.lead)) + s.unit }

// Start returns the offset of the first slot.
func (s *Slots) Start() int64 { return s.start }

// End returns the offset after the last slot.
func (s *Slots) End() int64 { return s.start + s.full*(s.disk.Piece/s.unit)*s.stride() }

// place returns the offset in the file of a unit of the disk, whether it has data or not.
func (s *Slots) place(unit int64) int64 {
	each := s.disk.Piece / s.unit
	return s.start + (int64(s.rank[unit/each])*each+unit%each)*s.stride()
}

// At returns the offset in the file of a unit of the disk, including its lead. ok is false if the unit is zeros. At must be called after all
// pieces were put.
func (s *Slots) At(unit int64) (off int64, ok bool) {
	each := s.disk.Piece / s.unit
	return s.place(unit), s.used[unit/each]>>(unit%each)&1 == 1
}

// Put writes the units of a piece that are not zeros, adjacent ones together.
func (s *Slots) Put(n int64, content []byte) error {
	first := n * (s.disk.Piece / s.unit)
	from := int64(-1) // of the units to write
	size := int64(len(content))
	for k, off := int64(0), int64(0); off < size; k, off = k+1, off+s.unit {
		end := min(size, off+s.unit)
		if IsZero(content[off:end]) {
			if err := s.write(first, from, off, content); err != nil {
				return err
			}
			from = -1
			continue
		}
		s.used[n] |= 1 << k
		if len(s.lead) > 0 {
			if err := s.write(first, from, off, content); err != nil {
				return err
			}
			from = off
			if _, err := s.file.WriteAt(s.lead, s.place(first+k)); err != nil {
				return err
			}
		}
		if from < 0 {
			from = off
		}
	}
	return s.write(first, from, size, content)
}

// write writes a range of a piece that is contiguous in the file. A negative from means none.
func (s *Slots) write(first, from, to int64, content []byte) error {
	if from < 0 {
		return nil
	}
	_, err := s.file.WriteAt(content[from:to], s.place(first+from/s.unit)+int64(len(s.lead)))
	return err
}
