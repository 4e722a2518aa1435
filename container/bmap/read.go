package bmap

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// A Map is the block map of an image.
type Map struct {
	Size   int64 // bytes of the image
	Block  int64 // bytes of a block
	Ranges []Range
	kind   func() hash.Hash
}

// A Range is blocks of an image that are not only zeros, or that somebody wants to be copied.
type Range struct {
	First, Last int64  // blocks
	Sum         []byte // of the bytes in them; nil if the map has none
}

// Limits of maps that are read.
const (
	maxFile  = 64 << 20 // bytes
	maxBlock = 64 << 20 // bytes
)

// document is a map in XML, of any version of the format.
type document struct {
	XMLName  xml.Name `xml:"bmap"`
	Version  string   `xml:"version,attr"`
	Size     int64    `xml:"ImageSize"`
	Block    int64    `xml:"BlockSize"`
	Count    int64    `xml:"BlocksCount"`
	Mapped   int64    `xml:"MappedBlocksCount"`
	Kind     string   `xml:"ChecksumType"`
	FileSum  string   `xml:"BmapFileChecksum"`
	FileSHA1 string   `xml:"BmapFileSHA1"`
	Ranges   []struct {
		Text string `xml:",chardata"`
		Sum  string `xml:"chksum,attr"`
		SHA1 string `xml:"sha1,attr"`
	} `xml:"BlockMap>Range"`
}

// Read reads a map, and compares its own checksum. Versions 1.2 to 2.0 are known; maps have checksums from version 1.3 on.
func Read(r io.Reader) (*Map, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("a block map has at most %d bytes", maxFile)
	}
	var d document
	if err := xml.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("not a block map: %w", err)
	}
	m := &Map{Size: d.Size, Block: d.Block}
	if m.kind, err = d.kind(); err != nil {
		return nil, err
	}
	if err := d.checkSelf(text, m.kind); err != nil {
		return nil, err
	}
	if err := d.checkSizes(); err != nil {
		return nil, err
	}
	return m, m.ranges(d)
}

// kind returns the hash of the checksums, nil if there are none.
func (d *document) kind() (func() hash.Hash, error) {
	switch kind := strings.TrimSpace(d.Kind); {
	case !strings.HasPrefix(d.Version, "1.") && !strings.HasPrefix(d.Version, "2."):
		return nil, fmt.Errorf("block maps of version %.20q are not supported", d.Version)
	case kind == "sha256":
		return sha256.New, nil
	case kind == "sha1" || kind == "" && d.FileSHA1 != "":
		return sha1.New, nil
	case kind == "":
		return nil, nil
	default:
		return nil, fmt.Errorf("checksums of the kind %.20q are not supported", kind)
	}
}

// checkSelf compares the checksum of the map, which was computed with zeros in its place.
func (d *document) checkSelf(text []byte, kind func() hash.Hash) error {
	sum := strings.TrimSpace(d.FileSum + d.FileSHA1)
	if kind == nil || sum == "" {
		return nil
	}
	h := kind()
	before, after, found := strings.Cut(string(text), sum)
	if !found || len(sum) != 2*h.Size() {
		return fmt.Errorf("the checksum of the block map has %d characters, want %d", len(sum), 2*h.Size())
	}
	io.WriteString(h, before+strings.Repeat("0", len(sum))+after)
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("the checksum of the block map is %s, and it says %.64s", got, sum)
	}
	return nil
}

// checkSizes reports numbers that contradict each other.
func (d *document) checkSizes() error {
	if d.Size < 0 || d.Block < 512 || d.Block > maxBlock || d.Size > 1<<62 {
		return fmt.Errorf("an image of %d bytes in blocks of %d bytes", d.Size, d.Block)
	}
	if want := (d.Size + d.Block - 1) / d.Block; d.Count != want {
		return fmt.Errorf("the image has %d blocks, and the block map says %d", want, d.Count)
	}
	return nil
}

// ranges reads the ranges, which are in order and disjoint.
func (m *Map) ranges(d document) error {
	mapped, next := int64(0), int64(0)
	for _, r := range d.Ranges {
		one, err := parseRange(strings.TrimSpace(r.Text))
		if err != nil {
			return err
		}
		if one.First < next || one.Last < one.First || one.Last >= d.Count {
			return fmt.Errorf("the blocks %d to %d follow block %d of %d", one.First, one.Last, next-1, d.Count)
		}
		if sum := r.Sum + r.SHA1; sum != "" {
			if one.Sum, err = hex.DecodeString(sum); err != nil || m.kind == nil || len(one.Sum) != m.kind().Size() {
				return fmt.Errorf("the checksum of the blocks %d to %d is %.80q", one.First, one.Last, sum)
			}
		}
		next = one.Last + 1
		mapped += next - one.First
		m.Ranges = append(m.Ranges, one)
	}
	if mapped != d.Mapped {
		return fmt.Errorf("the ranges have %d blocks, and the block map says %d", mapped, d.Mapped)
	}
	return nil
}

// parseRange reads the blocks of a range: the first and the last, or a single one.
func parseRange(text string) (Range, error) {
	first, last, several := strings.Cut(text, "-")
	if !several {
		last = first
	}
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	if err1 != nil || err2 != nil {
		return Range{}, fmt.Errorf("a range of blocks is %.40q", text)
	}
	return Range{First: a, Last: b}, nil
}

// ErrNoSums is returned for a map without checksums, with which nothing can be compared.
var ErrNoSums = errors.New("the block map has no checksums")

// Compare compares the ranges with an image of the map's size, through a buffer, and calls differs for each that has another checksum. It returns
// the number of equal ones. Between parts it calls stop, whose error ends it.
func (m *Map) Compare(image io.ReaderAt, buf []byte, stop func() error, differs func(off, size int64)) (equal int, err error) {
	if m.kind == nil {
		return 0, ErrNoSums
	}
	for _, r := range m.Ranges {
		if r.Sum == nil {
			continue
		}
		off, end := r.First*m.Block, min(m.Size, (r.Last+1)*m.Block)
		switch sum, err := m.sum(image, buf, off, end, stop); {
		case err != nil:
			return equal, err
		case string(sum) != string(r.Sum):
			differs(off, end-off)
		default:
			equal++
		}
	}
	return equal, nil
}

// sum returns the checksum of a range of bytes of an image.
func (m *Map) sum(image io.ReaderAt, buf []byte, off, end int64, stop func() error) ([]byte, error) {
	h := m.kind()
	for off < end {
		part := buf[:min(int64(len(buf)), end-off)]
		if n, err := image.ReadAt(part, off); n < len(part) {
			return nil, fmt.Errorf("byte %d: %w", off+int64(n), err)
		}
		h.Write(part)
		off += int64(len(part))
		if err := stop(); err != nil {
			return nil, err
		}
	}
	return h.Sum(nil), nil
}
