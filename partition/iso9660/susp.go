package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The system use field of a record is a sequence of entries (SUSP 1.12, 4.1): a signature of two letters, the entry's length in one byte, a
// version, data. Entries that do not fit into the record are in continuation areas that CE entries lead to. An area lies in one block, since
// Linux reads no more of it (fs/isofs/rock.c, rock_continue).
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

// appendCE appends a CE entry, which leads to an area of size bytes at an offset in a block (SUSP 1.12, 5.1).
func appendCE(b []byte, block, offset, size uint32) []byte {
	b = appendEntry(b, "CE", sizeCE)
	b = appendBoth(b, block)
	b = appendBoth(b, offset)
	return appendBoth(b, size)
}

// appendSP announces the protocol (SUSP 1.12, 5.3), as the first entry of the root's own record.
func appendSP(b []byte) []byte {
	return append(appendEntry(b, "SP", sizeSP), 0xbe, 0xef, 0)
}

// The extension that all other entries belong to. RRIP 1.12, 4.3, has another name for it, but mkisofs and xorriso write this one, of
// version 1.09, and every reader knows it.
const (
	extensionID          = "RRIP_1991A"
	extensionDescription = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	extensionSource      = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR " +
		"FOR CONTACT INFORMATION."
)

// appendER appends an ER entry, which names the extension (SUSP 1.12, 5.5). It too is in the root's own record.
func appendER(b []byte) []byte {
	const text = extensionID + extensionDescription + extensionSource
	b = appendEntry(b, "ER", entryHeader+4+len(text))
	b = append(b, byte(len(extensionID)), byte(len(extensionDescription)), byte(len(extensionSource)), 1)
	return append(b, text...)
}

// wholeEntries returns the length of the leading entries that fit into room bytes.
func wholeEntries(entries []byte, room int) int {
	n := 0
	for n < len(entries) && n+int(entries[n+2]) <= room {
		n += int(entries[n+2])
	}
	return n
}

// An area is a continuation area: its offset in bytes among those of its directory, its entries, and its size, which includes a CE entry if
// another area follows.
type area struct {
	off     int
	entries []byte
	size    int
}

func (a area) end() int { return a.off + a.size }

// appendAreas lays out entries from byte off on: in one area that crosses no block, or, when they are more than a block holds, in areas
// of a block each. Entries that one block can hold are not split to fill the one before: every area is one more read, and Linux follows at most
// 31 (RR_MAX_CE_ENTRIES). The longest target takes five.
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

// Limits for the continuation areas of one record.
const (
	maxAreas = 64      // twice what Linux follows
	maxArea  = 4 << 10 // bytes
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

// area calls do for the entries of one area, and returns the next area, nil if there is none.
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

// continuation reads the area that a CE entry leads to: block, offset in it, and length. It counts against the budget, so that many records
// cannot share one area.
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
		return nil, fmt.Errorf("system use entry of %d bytes, not %d", len(p)+entryHeader, 8*n+entryHeader)
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

// skipped returns how many bytes to skip at the front of every system use field, as the root's own record says (SUSP 1.12, 5.3).
func skipped(use []byte) (int, error) {
	if len(use) < sizeSP || string(use[:2]) != "SP" || binary.BigEndian.Uint16(use[entryHeader:]) != 0xbeef {
		return 0, errors.New("no Rock Ridge")
	}
	return int(use[6]), nil
}
