package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The system use field of a record is a row of entries (SUSP 1.12, 4.1): a signature of two letters, the entry's length in one byte, a
// version, data. What does not fit into the record lies in continuation areas that CE entries lead to. An area lies in one block: Linux reads no
// more of it (fs/isofs/rock.c, rock_continue).
const (
	entryHeader  = 4
	maxEntry     = 255
	entryVersion = 1
)

// Lengths of entries in bytes.
const (
	sizeCE = entryHeader + 3*8
	sizeSP = entryHeader + 3
)

func appendEntry(b []byte, signature string, size int) []byte {
	return append(b, signature[0], signature[1], byte(size), entryVersion)
}

func appendBoth(b []byte, n uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, n)
	return binary.BigEndian.AppendUint32(b, n)
}

// appendCE leads to an area of so many bytes at an offset of a block (SUSP 1.12, 5.1).
func appendCE(b []byte, block, offset, size uint32) []byte {
	b = appendEntry(b, "CE", sizeCE)
	b = appendBoth(b, block)
	b = appendBoth(b, offset)
	return appendBoth(b, size)
}

// appendSP says that the protocol is in use (SUSP 1.12, 5.3). It begins the root's own record.
func appendSP(b []byte) []byte {
	return append(appendEntry(b, "SP", sizeSP), 0xbe, 0xef, 0)
}

// The extension that all other entries belong to. RRIP 1.12 has another name for it in its section 4.3, but this one, of version 1.09, is
// what mkisofs and xorriso write and what every reader knows.
const (
	extensionID          = "RRIP_1991A"
	extensionDescription = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	extensionSource      = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR " +
		"FOR CONTACT INFORMATION."
)

// appendER names the extension (SUSP 1.12, 5.5). It is in the root's own record too.
func appendER(b []byte) []byte {
	const text = extensionID + extensionDescription + extensionSource
	b = appendEntry(b, "ER", entryHeader+4+len(text))
	b = append(b, byte(len(extensionID)), byte(len(extensionDescription)), byte(len(extensionSource)), 1)
	return append(b, text...)
}

// wholeEntries is how many bytes the first entries take that fit into room.
func wholeEntries(entries []byte, room int) int {
	n := 0
	for n < len(entries) && n+int(entries[n+2]) <= room {
		n += int(entries[n+2])
	}
	return n
}

// An area is a continuation area: where it begins among those of its directory, in bytes, the entries in it, and its size. That is more
// than the entries take by a CE entry if there is another area.
type area struct {
	off     int
	entries []byte
	size    int
}

func (a area) end() int { return a.off + a.size }

// appendAreas lays out entries from byte off on: in one area that crosses no block, or, when they are more than a block holds, in areas
// of a block each. The rest of a block is left empty rather than entries split that one block holds: every area is one more read, and Linux
// follows 31 at most (RR_MAX_CE_ENTRIES). The longest target takes five.
func appendAreas(dst []area, entries []byte, off int) []area {
	if room := block - off%block; len(entries) > room {
		off += room % block
	}
	for len(entries) > block {
		n := wholeEntries(entries, block-sizeCE)
		dst = append(dst, area{off, entries[:n], n + sizeCE})
		entries, off = entries[n:], off+block
	}
	return append(dst, area{off, entries, len(entries)})
}

// Bounds of what belongs to one record.
const (
	maxAreas = 64      // continuation areas
	maxArea  = 4 << 10 // bytes of one
)

// entries calls do for every entry of a system use field and of the areas that it continues in.
func (rd *reader) entries(field []byte, do func(signature string, data []byte) error) error {
	for range maxAreas {
		next, err := rd.area(field, do)
		if err != nil || next == nil {
			return err
		}
		field = next
	}
	return fmt.Errorf("more than %d continuation areas", maxAreas)
}

// area goes through one area and returns the next one, if there is one.
func (rd *reader) area(p []byte, do func(string, []byte) error) (next []byte, err error) {
	for len(p) >= entryHeader && p[0] != 0 {
		signature, n := string(p[:2]), int(p[2])
		if n < entryHeader || n > len(p) {
			return nil, fmt.Errorf("system use entry %q of %d bytes where %d are left", signature, n, len(p))
		}
		switch data := p[entryHeader:n]; signature {
		case "CE":
			next, err = rd.continuation(data)
		case "ST":
			return next, nil
		default:
			err = do(signature, data)
		}
		if err != nil {
			return nil, err
		}
		p = p[n:]
	}
	return next, nil
}

func (rd *reader) continuation(p []byte) ([]byte, error) {
	n, err := numbers(p, 3)
	if err != nil {
		return nil, err
	}
	if n[2] > maxArea {
		return nil, fmt.Errorf("continuation area of %d bytes, more than %d", n[2], maxArea)
	}
	if err := rd.spend(n[2]); err != nil {
		return nil, err
	}
	area := make([]byte, n[2])
	return area, rd.read(area, n[0]*block+n[1])
}

// numbers reads n numbers of 32 bits in both byte orders.
func numbers(p []byte, n int) ([]int64, error) {
	if len(p) < 8*n {
		return nil, fmt.Errorf("system use entry of %d bytes, %d are wanted", len(p)+entryHeader, 8*n+entryHeader)
	}
	list := make([]int64, n)
	for i := range list {
		var err error
		if list[i], err = both(p[8*i:]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// skipped is how many bytes of every system use field are not SUSP's, as the root's own record says (SUSP 1.12, 5.3).
func skipped(use []byte) (int, error) {
	if len(use) < sizeSP || string(use[:2]) != "SP" || binary.BigEndian.Uint16(use[entryHeader:]) != 0xbeef {
		return 0, errors.New("no Rock Ridge")
	}
	return int(use[6]), nil
}
