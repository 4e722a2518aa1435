package hosttree

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"imprint/internal/tree"
)

// A sparseFormat is a format of sparse entries (GNU tar manual, "Storing Sparse Files"). Package archive/tar checks their maps but does not
// export them, so they are read again here.
type sparseFormat int

const (
	notSparse sparseFormat = iota
	sparseOld              // in the header and blocks after it
	sparse0                // 0.0 and 0.1: in PAX records
	sparse1                // 1.0: before the data
)

// sparseForm returns the format, by the same rules as package archive/tar.
func sparseForm(h *tar.Header) sparseFormat {
	version := h.PAXRecords["GNU.sparse.major"] + "." + h.PAXRecords["GNU.sparse.minor"]
	switch {
	case h.Typeflag == tar.TypeGNUSparse:
		return sparseOld
	case version == "0.0" || version == "0.1":
		return sparse0
	case version == "1.0":
		return sparse1
	case version == "." && h.PAXRecords["GNU.sparse.map"] != "":
		return sparse0
	}
	return notSparse
}

// sparse returns the content of a sparse entry, whose map package archive/tar has passed already, and the offset of the next entry.
func (u *unpacking) sparse(h *tar.Header, form sparseFormat) (tree.Blob, int64, error) {
	header, err := u.mainHeader()
	if err != nil {
		return nil, 0, err
	}
	data := u.blocks.pos
	stored := data // where the entry's content begins, including a map before the data
	var pairs []int64
	switch form {
	case sparseOld:
		pairs, err = u.oldMap(header)
	case sparse0:
		pairs, err = decimals(strings.Split(h.PAXRecords["GNU.sparse.map"], ","))
	case sparse1:
		stored = header + blockSize
		pairs, err = u.frontMap(stored, data)
	}
	if err != nil {
		return nil, 0, err
	}
	s := &sparseSlice{archive: u.archive, size: h.Size}
	end, err := s.place(pairs, data)
	if err != nil {
		return nil, 0, err
	}
	return s, roundUp(end), u.checkStored(h, header, end-stored)
}

// checkStored compares the length in an entry's header, by which package archive/tar finds the next entry, with that of its map.
func (u *unpacking) checkStored(h *tar.Header, header, size int64) error {
	stated, err := strconv.ParseInt(h.PAXRecords["size"], 10, 64)
	if err != nil {
		var block [blockSize]byte
		if err := u.block(header, &block); err != nil {
			return err
		}
		if stated, err = number(block[124:136]); err != nil {
			return err
		}
	}
	if stated != size {
		return fmt.Errorf("sparse map of %d bytes in an entry of %d", size, stated)
	}
	return nil
}

// mainHeader finds the header of the entry itself, after the headers that extend it.
func (u *unpacking) mainHeader() (int64, error) {
	var block [blockSize]byte
	for at := u.start; ; {
		if err := u.block(at, &block); err != nil {
			return 0, err
		}
		switch block[156] {
		case tar.TypeXHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
		default:
			return at, nil
		}
		size, err := number(block[124:136])
		if err != nil {
			return 0, err
		}
		at += blockSize + roundUp(size)
	}
}

// block reads a block of the archive.
func (u *unpacking) block(at int64, b *[blockSize]byte) error {
	if at < 0 || at > u.archive.size-blockSize {
		return io.ErrUnexpectedEOF
	}
	n, err := u.archive.ReadAt(b[:], at)
	if n < blockSize {
		return err
	}
	return nil
}

// oldMap reads the map in a header (4 pairs of 24 bytes from byte 386 on, a flag for more at 482) and the blocks that extend it (21 pairs, a
// flag for more at 504).
func (u *unpacking) oldMap(header int64) ([]int64, error) {
	var numbers []int64
	var block [blockSize]byte
	from, flag := 386, 482
	for at := header; ; at += blockSize {
		if err := u.block(at, &block); err != nil {
			return nil, err
		}
		for b := block[from:flag]; len(b) >= 24 && b[0] != 0; b = b[24:] {
			off, err1 := number(b[:12])
			size, err2 := number(b[12:24])
			if err1 != nil || err2 != nil {
				return nil, tar.ErrHeader
			}
			numbers = append(numbers, off, size)
		}
		if block[flag] == 0 {
			return numbers, nil
		}
		from, flag = 0, 504
	}
}

// frontMap reads the map between two offsets: a line with the number of pairs, then a line for each of the numbers, in decimal. A map of more
// than 2 MiB is refused.
func (u *unpacking) frontMap(from, to int64) ([]int64, error) {
	if to < from || to-from > 2<<20 {
		return nil, tar.ErrHeader
	}
	text := make([]byte, to-from)
	if n, err := u.archive.ReadAt(text, from); n < len(text) {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	pairs, err := strconv.Atoi(lines[0])
	if err != nil || pairs < 0 || pairs > len(lines)/2 || 1+2*pairs > len(lines) {
		return nil, tar.ErrHeader
	}
	return decimals(lines[1 : 1+2*pairs])
}

// decimals reads the numbers of a map. An empty map is one empty word.
func decimals(words []string) ([]int64, error) {
	numbers := make([]int64, 0, len(words))
	for _, w := range words {
		if w == "" && len(words) == 1 {
			break
		}
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return nil, tar.ErrHeader
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// number reads a number of a header: octal digits, or if the first bit is set a big-endian number. Negative ones (second bit set) are
// errors.
func number(field []byte) (int64, error) {
	if field[0]&0x80 == 0 {
		digits, _, _ := bytes.Cut(bytes.Trim(field, " \x00"), []byte{0})
		if len(digits) == 0 {
			return 0, nil
		}
		n, err := strconv.ParseInt(string(digits), 8, 64)
		if err != nil || n < 0 {
			return 0, tar.ErrHeader
		}
		return n, nil
	}
	n := int64(field[0] & 0x7f)
	for _, c := range field[1:] {
		if n >= 1<<55 {
			return 0, tar.ErrHeader
		}
		n = n<<8 | int64(c)
	}
	return n, nil
}
