// Package pe adds sections to a Portable Executable image, and signs it for UEFI Secure Boot (Microsoft PE Format, "PE" below;
// Windows Authenticode Portable Executable Signature Format, "Authenticode" below).
//
//	0        DOS header; at 0x3c the offset of the next
//	…        "PE\0\0", COFF header (20 bytes), optional header with the data directories
//	…        section headers of 40 bytes
//	…        raw data of the sections, each on the file alignment
//	end      certificate table, where there are signatures
//
// Only images for 64-bit processors (PE32+) are supported: the architectures of imprint have no others.
package pe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// Offsets in bytes (PE, "COFF File Header", "Optional Header").
const (
	offPE            = 0x3c   // of the DOS header: where "PE\0\0" is
	coffMachine      = 4      // from "PE\0\0": the processor
	coffSections     = 4 + 2  // number of sections
	coffSymbols      = 4 + 8  // file offset of the symbol table, 0 for none
	coffOptionalSize = 4 + 16 // bytes of the optional header
	optional         = 4 + 20 // the optional header itself
	optDataSize      = 8      // from the optional header: bytes of initialised data
	optSectionAlign  = 32
	optFileAlign     = 36
	optImageSize     = 56
	optHeaderSize    = 60
	optChecksum      = 64
	optDirectories   = 108 // number of data directories, which follow
	optCertificates  = 112 + 4*8
	sectionHeader    = 40
	pePlus           = 0x20b
)

// page is the alignment of new sections in memory, so that each can have its own page permissions.
const page = 4096

// readable initialised data (PE, "Section Flags").
const dataFlags = 0x40000040

// A Section is a section to add.
type Section struct {
	Name    string // at most 8 bytes
	Content tree.Blob
}

// An image is the headers of a Portable Executable in memory.
type image struct {
	head     []byte // up to the raw data of the first section
	at       int64  // of "PE\0\0"
	sections int
}

var le = binary.LittleEndian

// Machine returns the machine type (PE, "Machine Types") of the program that begins with p; 0 if it is not a Portable Executable.
func Machine(p []byte) uint16 {
	if len(p) < offPE+4 || string(p[:2]) != "MZ" {
		return 0
	}
	at := int64(le.Uint32(p[offPE:]))
	if at+coffSections > int64(len(p)) || string(p[at:at+4]) != "PE\x00\x00" {
		return 0
	}
	return le.Uint16(p[at+coffMachine:])
}

// parse reads the headers of the image that begins with p.
func parse(p []byte) (image, error) {
	if len(p) < offPE+4 || string(p[:2]) != "MZ" {
		return image{}, fmt.Errorf("not a Portable Executable: it begins with %q", p[:min(2, len(p))])
	}
	i := image{head: p, at: int64(le.Uint32(p[offPE:]))}
	if i.at < offPE+4 || i.at+optional+optCertificates+8 > int64(len(p)) || string(p[i.at:i.at+4]) != "PE\x00\x00" {
		return image{}, fmt.Errorf("not a Portable Executable: no PE signature at byte %d", i.at)
	}
	if magic := le.Uint16(p[i.at+optional:]); magic != pePlus {
		return image{}, fmt.Errorf("a Portable Executable with the magic number %#x, only PE32+ (%#x) is supported", magic, pePlus)
	}
	if n := i.opt32(optDirectories); n < 5 {
		return image{}, fmt.Errorf("a Portable Executable with %d data directories, too few to have one for certificates", n)
	}
	if n := i.table() - i.at - optional; n < optCertificates+8 {
		return image{}, fmt.Errorf("a Portable Executable whose optional header has %d bytes, less than its data directories need", n)
	}
	i.sections = int(le.Uint16(p[i.at+coffSections:]))
	file, memory := i.opt32(optFileAlign), i.opt32(optSectionAlign)
	if file < 1 || file > 1<<16 || file&(file-1) != 0 || memory < 1 || memory&(memory-1) != 0 {
		return image{}, fmt.Errorf("a Portable Executable with an alignment of %d bytes in the file and %d in memory", file, memory)
	}
	if end := i.table() + int64(i.sections)*sectionHeader; end > min(int64(len(p)), i.opt32(optHeaderSize)) {
		return image{}, fmt.Errorf("a Portable Executable whose section table ends at byte %d, beyond its headers", end)
	}
	return i, nil
}

// opt32 returns a field of 4 bytes of the optional header.
func (i image) opt32(field int64) int64 { return int64(le.Uint32(i.head[i.at+optional+field:])) }

func (i image) setOpt32(field, value int64) {
	le.PutUint32(i.head[i.at+optional+field:], uint32(value))
}

// signed reports whether the image has a certificate table.
func (i image) signed() bool { return i.opt32(optCertificates) != 0 || i.opt32(optCertificates+4) != 0 }

// table returns the offset of the section headers.
func (i image) table() int64 {
	return i.at + optional + int64(le.Uint16(i.head[i.at+coffOptionalSize:]))
}

// section returns the header of section n.
func (i image) section(n int) []byte {
	return i.head[i.table()+int64(n)*sectionHeader:][:sectionHeader]
}

// Append returns the image with sections added after the existing ones, in memory and in the file. A signed image is an error, since its
// signature would no longer hold.
func Append(stub []byte, sections []Section) (tree.Blob, error) {
	i, err := parse(bytes.Clone(stub))
	if err != nil {
		return nil, err
	}
	if i.signed() {
		return nil, fmt.Errorf("the image is signed, and more sections would make the signature invalid")
	}
	if i.makeRoom(len(sections)); i.sections+len(sections) > math.MaxUint16 {
		return nil, fmt.Errorf("%d sections", i.sections+len(sections))
	}
	if err := i.strip(); err != nil {
		return nil, err
	}
	align := i.opt32(optFileAlign)
	body := []tree.Blob{nil}
	address, offset := i.end(), units.Align(int64(len(i.head)), align)
	i.head = append(i.head, make([]byte, offset-int64(len(i.head)))...)
	for _, s := range sections {
		size := s.Content.Size()
		raw := units.Align(size, align)
		address = units.Align(address, max(page, i.opt32(optSectionAlign)))
		if address+size > math.MaxInt32 || offset+raw > math.MaxInt32 {
			return nil, fmt.Errorf("section %s: an image of %d bytes cannot be loaded", s.Name, offset+raw)
		}
		i.add(s.Name, [4]int64{size, address, raw, offset})
		body = append(body, s.Content, tree.Text(string(make([]byte, raw-size))))
		address, offset = address+size, offset+raw
	}
	i.setOpt32(optImageSize, units.Align(address, i.opt32(optSectionAlign)))
	// No firmware checks the checksum of an EFI program, and 0 means none.
	i.setOpt32(optChecksum, 0)
	body[0] = tree.Text(string(i.head))
	return tree.Concat(body...), nil
}

// strip cuts off the symbols, which follow the raw data of the last section: signers disagree on whether a signature covers bytes that belong
// to no section.
func (i *image) strip() error {
	end := i.rawEnd()
	if end > int64(len(i.head)) {
		return fmt.Errorf("a Portable Executable of %d bytes with sections up to byte %d", len(i.head), end)
	}
	i.head = i.head[:end]
	clear(i.head[i.at+coffSymbols:][:8]) // their offset and number
	return nil
}

// rawEnd returns the offset in the file where the raw data of the last section ends.
func (i image) rawEnd() int64 {
	end := i.opt32(optHeaderSize)
	for n := range i.sections {
		if s := i.section(n); le.Uint32(s[16:]) != 0 {
			end = max(end, int64(le.Uint32(s[20:]))+int64(le.Uint32(s[16:])))
		}
	}
	return end
}

// end returns the address in memory after the last section.
func (i image) end() (end int64) {
	for n := range i.sections {
		s := i.section(n)
		end = max(end, int64(le.Uint32(s[12:]))+int64(max(le.Uint32(s[8:]), le.Uint32(s[16:]))))
	}
	return max(end, i.opt32(optHeaderSize))
}

// makeRoom moves the raw data of all sections back until there is room for n more headers.
func (i *image) makeRoom(n int) {
	used := i.table() + int64(i.sections+n)*sectionHeader
	old := min(i.opt32(optHeaderSize), int64(len(i.head)))
	size := units.Align(max(used, old), i.opt32(optFileAlign))
	if size <= old {
		return
	}
	moved := size - old
	i.head = bytes.Join([][]byte{i.head[:old], make([]byte, moved), i.head[old:]}, nil)
	for n := range i.sections {
		if s := i.section(n); le.Uint32(s[20:]) != 0 {
			le.PutUint32(s[20:], le.Uint32(s[20:])+uint32(moved))
		}
	}
	i.setOpt32(optHeaderSize, size)
}

// add writes a section header: place is size and address in memory, size and offset in the file.
func (i *image) add(name string, place [4]int64) {
	i.sections++
	h := i.section(i.sections - 1)
	clear(h)
	copy(h[:8], name)
	for n, v := range place {
		le.PutUint32(h[8+4*n:], uint32(v))
	}
	le.PutUint32(h[36:], dataFlags)
	le.PutUint16(i.head[i.at+coffSections:], uint16(i.sections))
	i.setOpt32(optDataSize, i.opt32(optDataSize)+place[2])
}
