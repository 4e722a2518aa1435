// Package swap plans and reads swap space: the header of mkswap (Linux, include/linux/swap.h, union swap_header), which is the first page.
// Everything after it belongs to the kernel.
//
//	0       boot code, 1024 bytes, which no kernel looks at
//	1024    version, last page, number of bad pages, UUID, label
//	…       bad pages
//	page-10 "SWAPSPACE2"
package swap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"imprint/internal/fault"
	"imprint/internal/repro"
	"imprint/internal/span"
)

// Sizes in bytes.
const (
	Page     = 4096      // of the header that New makes, as most architectures have it
	MinSize  = 10 * Page // mkswap(8) makes no less
	MaxLabel = 15        // tools want a NUL after it

	maxPage    = 64 << 10
	infoOffset = 1024
	signature  = "SWAPSPACE2"
)

// An info is the part of the header that says something. Fields have their names in the kernel; they are little-endian.
type info struct {
	Version    uint32
	LastPage   uint32
	NrBadPages uint32
	UUID       [16]byte
	VolumeName [16]byte
}

var infoFields = span.Fields(info{})

// Header returns the first page of swap space of size bytes.
func Header(size int64, id repro.UUID, label string) ([]byte, error) {
	switch {
	case size < MinSize:
		return nil, fmt.Errorf("swap space of %d bytes, the least is %d", size, MinSize)
	case len(label) > MaxLabel || strings.ContainsRune(label, 0):
		return nil, fmt.Errorf("label %.40q is longer than %d bytes, or has a NUL", label, MaxLabel)
	}
	i := info{Version: 1, LastPage: lastPage(size, Page), UUID: id}
	copy(i.VolumeName[:], label)
	b := make([]byte, Page)
	if _, err := binary.Encode(b[infoOffset:], binary.LittleEndian, i); err != nil {
		return nil, err
	}
	copy(b[Page-len(signature):], signature)
	return b, nil
}

// lastPage returns the number of the last page, which has 32 bits.
func lastPage(size, page int64) uint32 { return uint32(min(size/page-1, math.MaxUint32)) }

// PageSize returns the size of a page in bytes by the signature at the end of the first, of which head has the beginning; 0 if there is none.
func PageSize(head []byte) int64 {
	for page := Page; page <= maxPage && page <= len(head); page *= 2 {
		if string(head[page-len(signature):page]) == signature {
			return int64(page)
		}
	}
	return 0
}

// A Volume is swap space that was read.
type Volume struct {
	Label string
	UUID  repro.UUID
	Page  int64 // bytes
	Size  int64 // bytes that the header says are in use

	info   info
	region int64 // bytes
}

// Read reads the header of swap space in a region of size bytes.
func Read(r io.ReaderAt, size int64) (*Volume, error) {
	head := make([]byte, max(0, min(size, maxPage)))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	v := &Volume{Page: PageSize(head), region: size}
	if v.Page == 0 {
		return nil, errors.New("no signature at the end of the first page")
	}
	if _, err := binary.Decode(head[infoOffset:], binary.LittleEndian, &v.info); err != nil {
		return nil, err
	}
	if v.info.Version != 1 {
		return nil, fmt.Errorf("version is %d, 1 is expected", v.info.Version)
	}
	label, _, _ := strings.Cut(string(v.info.VolumeName[:]), "\x00")
	v.Label, v.UUID, v.Size = label, v.info.UUID, (int64(v.info.LastPage)+1)*v.Page
	return v, nil
}

// Check reports a header that does not fit the region.
func (v *Volume) Check(report fault.Report) {
	wrong := func(field, text string) {
		report(fault.Fault{Offset: infoOffset + span.Offset(infoFields, field), Object: "swap header", Text: text})
	}
	if v.Size > v.region {
		wrong("LastPage", fmt.Sprintf("LastPage is %d, so there are %d bytes, but the region has %d", v.info.LastPage, v.Size, v.region))
	}
	if room := (v.Page - infoOffset - 512 - int64(len(signature))) / 4; int64(v.info.NrBadPages) > room {
		wrong("NrBadPages", fmt.Sprintf("NrBadPages is %d, but the header has room for %d", v.info.NrBadPages, room))
	}
	if _, after, ok := strings.Cut(string(v.info.VolumeName[:]), "\x00"); ok && strings.Trim(after, "\x00") != "" {
		wrong("VolumeName", fmt.Sprintf("VolumeName is %q, with bytes after a NUL", v.info.VolumeName[:]))
	}
}

// Explain names the structure that the byte at an offset of the region belongs to.
func (v *Volume) Explain(off int64) string {
	f, ok := infoFields.At(off - infoOffset)
	switch {
	case off < 0 || off >= v.region:
		return "after the swap space"
	case off >= v.Page:
		return fmt.Sprintf("swap page %d", off/v.Page)
	case ok:
		return "swap header, " + f.What
	case off >= v.Page-int64(len(signature)):
		return "swap header, signature"
	}
	return "swap header, unused"
}
