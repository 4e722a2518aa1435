package demostore

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// A machine describes the synthetic programs of an architecture.
type machine struct {
	number    uint16 // in the COFF header (PE, "Machine Types")
	suffix    string // in the names of systemd's EFI programs
	grub      string // the directory of GRUB's modules for UEFI
	bios      bool
	kernel    string // the file name of a kernel
	kernelTag func(head []byte)
}

var synthetic = map[string]machine{
	"x86_64":  {0x8664, "x64", "x86_64-efi", true, "bzImage", tagBzImage},
	"aarch64": {0xaa64, "aa64", "arm64-efi", false, "Image", tagImage},
}

// headerSize is the size in bytes of the headers of a program.
const headerSize = 1024

// program returns an EFI program with one section of size bytes that follow from its name. The headers are complete (PE, "PE Headers"), so
// that sections can be added and the program can be signed, but it cannot run.
func (m machine) program(name string, size int) []byte {
	const (
		peOffset     = 0x40
		optional     = peOffset + 24
		optionalSize = 112 + 16*8 // PE32+ with all sixteen data directories
		section      = optional + optionalSize
		fileAlign    = 512
		memoryAlign  = 4096
	)
	raw := (size + fileAlign - 1) / fileAlign * fileAlign
	b := make([]byte, headerSize+raw)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], peOffset)
	copy(b[peOffset:], "PE\x00\x00")
	le.PutUint16(b[peOffset+4:], m.number)
	le.PutUint16(b[peOffset+6:], 1) // sections
	le.PutUint16(b[peOffset+20:], optionalSize)
	le.PutUint16(b[peOffset+22:], 0x0022)         // executable, large addresses
	le.PutUint16(b[optional:], 0x20b)             // PE32+
	le.PutUint32(b[optional+4:], uint32(raw))     // code
	le.PutUint32(b[optional+16:], memoryAlign)    // entry point
	le.PutUint32(b[optional+32:], memoryAlign)    // section alignment
	le.PutUint32(b[optional+36:], fileAlign)      // file alignment
	le.PutUint32(b[optional+56:], uint32(16<<20)) // size in memory
	le.PutUint32(b[optional+60:], headerSize)
	le.PutUint16(b[optional+68:], 10) // EFI application
	le.PutUint32(b[optional+108:], 16)
	copy(b[section:], ".text")
	for i, v := range []uint32{uint32(size), memoryAlign, uint32(raw), headerSize} { // size and address in memory, size and offset in the file
		le.PutUint32(b[section+8+4*i:], v)
	}
	le.PutUint32(b[section+36:], 0x60000020) // code, to be executed and read
	copy(b[headerSize:], noise(name, size))
	return b
}

// linux returns a program with the identification of a Linux kernel.
func (m machine) linux(name string, size int) []byte {
	b := m.program(name, size)
	m.kernelTag(b)
	return b
}

// tagBzImage adds the magic number and the version (Linux, Documentation/arch/x86/boot.rst).
func tagBzImage(head []byte) {
	const version = 0x300
	copy(head[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(head[0x20e:], version-0x200)
	copy(head[version:], "6.1.0-synthetic (builder@host) #1\x00")
}

// tagImage adds the magic number (Linux, Documentation/arch/arm64/booting.rst).
func tagImage(head []byte) { copy(head[0x38:], "ARM\x64") }

// noise returns size bytes that look random and follow from the name.
func noise(name string, size int) []byte {
	b := make([]byte, 0, size+sha256.Size)
	for sum := sha256.Sum256([]byte(name)); len(b) < size; sum = sha256.Sum256(sum[:]) {
		b = append(b, sum[:]...)
	}
	return b[:size]
}

// prose returns size bytes of text that follow from the name.
func prose(name string, size int) string {
	line := "This is " + name + ".\n"
	return strings.Repeat(line, size/len(line)+1)[:size]
}
