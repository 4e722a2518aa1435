package fat

import (
	"encoding/binary"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

// structures are the extents before the clusters.
func (p *Plan) structures() extent.List {
	v := p.vol
	var list extent.List
	add := func(sector int64, b tree.Blob) {
		list = append(list, extent.Extent{Off: sector * v.sector, Len: b.Size(), Blob: b, Meta: true})
	}
	boot := tree.Text(p.bootSector())
	add(0, boot)
	if v.bits == 32 {
		info := tree.Text(p.infoSector())
		add(infoAt, info)
		add(backupAt, boot)
		add(backupAt+infoAt, info)
	}
	table := extent.Generated(p.tableSize(), p.readTable)
	add(v.reserved, table)
	add(v.reserved+v.fat, table)
	if v.bits != 32 && p.slots[0] > 0 {
		add(v.reserved+fats*v.fat, directoryBlob{p, p.tree.Root()})
	}
	return list
}

// tableSize returns the length in bytes of the used part of a FAT; the rest is zero.
func (p *Plan) tableSize() int64 {
	return (int64(p.last()+1)*int64(p.vol.bits) + 7) / 8
}

// readTable fills b with the bytes of a FAT from off on.
func (p *Plan) readTable(b []byte, off int64) {
	bits := int64(p.vol.bits)
	first := off * 8 / bits &^ 1 // even, so that an entry of 12 bits begins on a byte
	end := min((off+int64(len(b)))*8/bits+1, int64(p.last())+1)
	buf := make([]byte, (end-first+1)*bits/8+4)
	chains := p.from(uint32(max(first, firstCluster)))
	for c := first; c < end; c++ {
		for len(chains) > 0 && int64(chains[0].end) <= c {
			chains = chains[1:]
		}
		putEntry(buf, p.vol.bits, c-first, p.tableEntry(uint32(c), chains))
	}
	copy(b, buf[off-first*bits/8:])
}

// tableEntry returns the entry of cluster c, given the chains that end after it: the next cluster of its chain, all ones for the last one, or 0 if it
// is free. Entry 0 has the media
// byte in its low bits and ones above; entry 1 is all ones, of which the highest mark the volume as cleanly unmounted ("FAT Data Structure").
func (p *Plan) tableEntry(c uint32, chains []chain) uint32 {
	end := uint32(1)<<min(p.vol.bits, 28) - 1 // FAT32 uses 28 of the 32 bits
	switch {
	case c == 0:
		return end&^0xff | media
	case c == 1:
		return end
	case len(chains) == 0 || c < chains[0].first:
		return 0
	case c+1 == chains[0].end:
		return end
	}
	return c + 1
}

// putEntry sets entry i of a FAT whose bytes are zero. Two entries of 12 bits share three bytes.
func putEntry(b []byte, bits int, i int64, value uint32) {
	at := b[i*int64(bits)/8:]
	switch {
	case bits == 32:
		binary.LittleEndian.PutUint32(at, value)
	case bits == 16:
		binary.LittleEndian.PutUint16(at, uint16(value))
	case i%2 == 0:
		at[0], at[1] = byte(value), at[1]|byte(value>>8)
	default:
		at[0], at[1] = at[0]|byte(value<<4), byte(value>>4)
	}
}
