package fat

import (
	"encoding/binary"

	"imprint/internal/extent"
	"imprint/internal/tree"
)

const (
	media = 0xf8 // a fixed disk

	// Sectors of FAT32's reserved ones ("FAT32 FSInfo Sector Structure and Backup Boot Sector").
	infoSector   = 1
	backupSector = 6
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
		add(infoSector, info)
		add(backupSector, boot)
		add(backupSector+infoSector, info)
	}
	table := extent.Generated(p.tableSize(), p.readTable)
	add(v.reserved, table)
	add(v.reserved+v.fat, table)
	if v.bits != 32 && p.slots[0] > 0 {
		add(v.reserved+fats*v.fat, directoryBlob{p, p.tree.Root()})
	}
	return list
}

// bootSector is the first 512 bytes of the volume ("Boot Sector and BPB"), also those of a sector of 4096.
func (p *Plan) bootSector() string {
	v, le := p.vol, binary.LittleEndian
	b := make([]byte, 512)
	copy(b[3:], "MSWIN4.1") // the name that the specification recommends: some drivers look at it
	le.PutUint16(b[11:], uint16(v.sector))
	b[13] = byte(v.cluster / v.sector)
	le.PutUint16(b[14:], uint16(v.reserved))
	b[16] = fats
	le.PutUint16(b[17:], uint16(v.root*v.sector/slotSize))
	b[21] = media
	le.PutUint16(b[24:], 63)  // sectors of a track and
	le.PutUint16(b[26:], 255) // heads, as BIOSes see a large disk; nobody who reads sectors by number looks at them
	le.PutUint32(b[28:], p.opts.HiddenSectors)
	if v.bits != 32 && v.total < 1<<16 {
		le.PutUint16(b[19:], uint16(v.total))
	} else {
		le.PutUint32(b[32:], uint32(v.total))
	}
	end := b[36:]
	if v.bits == 32 {
		le.PutUint32(b[36:], uint32(v.fat))
		le.PutUint32(b[44:], firstCluster) // of the root directory
		le.PutUint16(b[48:], infoSector)
		le.PutUint16(b[50:], backupSector)
		end = b[64:]
	} else {
		le.PutUint16(b[22:], uint16(v.fat))
	}
	end[0] = 0x80 // BIOS number of the first hard disk
	end[2] = 0x29 // the next three are there
	le.PutUint32(end[3:], p.opts.Serial)
	name := labelName(p.opts.Label)
	copy(end[7:], name[:])
	copy(end[18:], [...]string{12: "FAT12   ", 16: "FAT16   ", 32: "FAT32   "}[v.bits])
	putBootCode(b, len(b)-len(end)+26)
	return string(b)
}

// labelName is a volume label as a short name.
func labelName(label string) short {
	if label == "" {
		label = "NO NAME" // of a volume without one
	}
	s := newShort("", "")
	copy(s[:], label)
	return s
}

// putBootCode sets the jump over the table of parameters, the code behind it at that offset, and the signature. The code is for a BIOS
// that boots the volume, which loads it at 0x7c00: it says that there is nothing to boot and stops.
func putBootCode(b []byte, at int) {
	const size = 25
	text := 0x7c00 + at + size
	copy(b, []byte{0xeb, byte(at - 2), 0x90}) // jmp at; nop
	copy(b[at:], []byte{
		0xfc,       // cld
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xbe, byte(text), byte(text >> 8), // mov si, text
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x09, // jz stop
		0xb4, 0x0e, // mov ah, 0x0e
		0xbb, 0x07, 0x00, // mov bx, 7
		0xcd, 0x10, // int 0x10
		0xeb, 0xf2, // jmp next
		0xf4,       // stop: hlt
		0xeb, 0xfd, // jmp stop
	})
	copy(b[at+size:], "This volume holds no boot code for a BIOS.\r\n\x00")
	copy(b[510:], "\x55\xaa")
}

// infoSector is the FSInfo sector of FAT32. The hint where to look for a free cluster is the last one taken, since
// drivers begin behind it.
func (p *Plan) infoSector() string {
	le := binary.LittleEndian
	b := make([]byte, 512)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	le.PutUint32(b[488:], uint32(p.FreeClusters()))
	le.PutUint32(b[492:], p.last())
	copy(b[510:], "\x55\xaa")
	return string(b)
}

// tableSize is the length in bytes of the part of a FAT that is not zero.
func (p *Plan) tableSize() int64 {
	return (int64(p.last()+1)*int64(p.vol.bits) + 7) / 8
}

// readTable fills b with the bytes of a FAT from off on.
func (p *Plan) readTable(b []byte, off int64) {
	bits := int64(p.vol.bits)
	first := off * 8 / bits &^ 1 // even, so that an entry of 12 bits begins with a byte
	end := min((off+int64(len(b)))*8/bits+1, int64(p.last())+1)
	buf := make([]byte, (end-first+1)*bits/8+4)
	id := p.owner(uint32(max(first, firstCluster)))
	for c := first; c < end; c++ {
		for id < p.tree.Len() && int64(p.start[id+1]) <= c {
			id++
		}
		putEntry(buf, p.vol.bits, c-first, p.tableEntry(uint32(c), id))
	}
	copy(b, buf[off-first*bits/8:])
}

// tableEntry is the entry of cluster c, which the node of that ID has: the next one of it, or all ones at its end. Entry 0 is the media
// byte below ones; entry 1 is all ones, of which the highest say that the volume was unmounted in order ("FAT Data Structure").
func (p *Plan) tableEntry(c uint32, id int) uint32 {
	end := uint32(1)<<min(p.vol.bits, 28) - 1 // of 32 bits, 28 are used
	switch {
	case c == 0:
		return end&^0xff | media
	case c == 1 || c+1 == p.start[id+1]:
		return end
	}
	return c + 1
}

// putEntry sets entry number i of a FAT whose bytes are zero so far.
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
