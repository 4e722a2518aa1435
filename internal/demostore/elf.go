package demostore

import "encoding/binary"

// writer returns a static program for Linux on x86_64 that writes a text to a file of its own, with mode 0755, and ends. It is the same on every
// machine, and so stands for a package manager where no other program would be.
func writer(path, text string) []byte {
	const (
		address = 0x400000
		headers = 64 + 56 // ELF header, one program header
	)
	code := []byte{
		0xb8, 2, 0, 0, 0, // mov eax, open
		0xbf, 0, 0, 0, 0, // mov edi, path
		0xbe, 0x41, 2, 0, 0, // mov esi, O_WRONLY|O_CREAT|O_TRUNC
		0xba, 0xed, 1, 0, 0, // mov edx, 0755
		0x0f, 0x05, // syscall
		0x89, 0xc7, // mov edi, eax
		0xb8, 1, 0, 0, 0, // mov eax, write
		0xbe, 0, 0, 0, 0, // mov esi, text
		0xba, 0, 0, 0, 0, // mov edx, length
		0x0f, 0x05, // syscall
		0x48, 0x29, 0xd0, // sub rax, rdx: not 0 if that has failed
		0x89, 0xc7, // mov edi, eax
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05, // syscall
	}
	le := binary.LittleEndian
	at := uint32(address + headers + len(code))
	le.PutUint32(code[6:], at)
	le.PutUint32(code[30:], at+uint32(len(path))+1)
	le.PutUint32(code[35:], uint32(len(text)))

	b := make([]byte, headers, headers+len(code)+len(path)+1+len(text))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // executable
	le.PutUint16(b[18:], 62) // x86_64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], address+headers) // entry
	le.PutUint64(b[32:], 64)              // program headers
	for i, v := range []uint16{64, 56, 1} {
		le.PutUint16(b[52+2*i:], v)
	}
	p := b[64:]
	le.PutUint32(p, 1)     // load
	le.PutUint32(p[4:], 5) // to be read and executed
	le.PutUint64(p[16:], address)
	le.PutUint64(p[24:], address)
	le.PutUint64(p[32:], uint64(cap(b)))
	le.PutUint64(p[40:], uint64(cap(b)))
	le.PutUint64(p[48:], 0x1000)
	b = append(b, code...)
	b = append(append(b, path...), 0)
	return append(b, text...)
}
