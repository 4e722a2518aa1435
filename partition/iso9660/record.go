package iso9660

import "fmt"

// A record is a directory record (ECMA-119, 9.1): a name in a directory and where its content lies. A file of several sections has a
// record for each (ECMA-119, 6.5.1).
type record struct {
	start int64 // block
	size  int64 // bytes
	date  [shortDateSize]byte
	flags byte
	id    []byte // identifier
	use   []byte // system use field
}

// Offsets of the fields of a record in bytes. Numbers are in both byte orders.
const (
	recordLength   = 0
	recordExtended = 1 // blocks of an extended attribute record before the content
	recordStart    = 2
	recordSize     = 10
	recordDate     = 18
	recordFlags    = 25
	recordUnit     = 26 // blocks of a part of an interleaved file, then of the gap after it
	recordGap      = 27
	recordVolume   = 28
	recordIDLength = 32
	recordHeader   = 33 // the identifier follows
)

// maxRecord is the largest size of a record in bytes: its length is one byte, and even.
const maxRecord = 254

// File flags of a record.
const (
	isDirectory  = 1 << 1
	isAssociated = 1 << 2 // a further content of a file, such as a resource fork
	hasMore      = 1 << 7 // the file goes on in the next record
)

// Identifiers of the first two records of a directory: of itself, and of its parent (ECMA-119, 7.6.2).
var selfID, parentID = []byte{0}, []byte{1}

// headSize returns the length of a record before its system use field: the identifier is padded so that this is even.
func headSize(id int) int { return even(recordHeader + id) }

func even(n int) int { return n + n&1 }

// put writes a record into zeros and returns its length.
func (r record) put(b []byte) int {
	head := headSize(len(r.id))
	n := even(head + len(r.use))
	b[recordLength] = byte(n)
	putBoth(b[recordStart:], uint32(r.start))
	putBoth(b[recordSize:], uint32(r.size))
	copy(b[recordDate:], r.date[:])
	b[recordFlags] = r.flags
	putBoth16(b[recordVolume:], 1)
	b[recordIDLength] = byte(len(r.id))
	copy(b[recordHeader:], r.id)
	copy(b[head:], r.use)
	return n
}

// parseRecord decodes the record p. The result refers to p.
func parseRecord(p []byte) (record, error) {
	if len(p) < recordHeader+1 || recordHeader+int(p[recordIDLength]) > len(p) {
		return record{}, fmt.Errorf("directory record of %d bytes", len(p))
	}
	start, err := both(p[recordStart:])
	if err != nil {
		return record{}, err
	}
	size, err := both(p[recordSize:])
	if err != nil {
		return record{}, err
	}
	r := record{start: start + int64(p[recordExtended]), size: size, flags: p[recordFlags], id: p[recordHeader:][:p[recordIDLength]]}
	copy(r.date[:], p[recordDate:])
	if p[recordUnit] != 0 || p[recordGap] != 0 {
		return record{}, fmt.Errorf("%q is interleaved", r.id)
	}
	if head := headSize(len(r.id)); head < len(p) {
		r.use = p[head:]
	}
	return r, nil
}

// eachRecord calls do for the records of one block of a directory; zeros fill the rest of it (ECMA-119, 6.8.1.1).
func eachRecord(p []byte, do func(record) error) error {
	for len(p) > 0 && p[0] != 0 {
		if int(p[0]) > len(p) {
			return fmt.Errorf("directory record of %d bytes where %d are left", p[0], len(p))
		}
		r, err := parseRecord(p[:p[0]])
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
		p = p[p[0]:]
	}
	return nil
}
