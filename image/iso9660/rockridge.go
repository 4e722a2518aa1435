package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"imprint/internal/tree"
)

// rockRidge is what the system use entries of a record say.
type rockRidge struct {
	name   string
	link   linkTarget
	mode   uint32
	uid    int64
	gid    int64
	mtime  int64
	device tree.Device
	child  int64 // block of a directory that was moved away because it lies too deep; 0 for none
	moved  bool  // this is where it was moved to
	posix  bool  // there are POSIX attributes
}

// Bounds of what belongs to one record.
const (
	maxAreas = 64      // continuation areas
	maxArea  = 4 << 10 // bytes of one
)

// entries calls do for every entry of a system use area and of the areas that it continues in (SUSP 1.12, 5.1).
func (rd *reader) entries(area []byte, do func(signature string, data []byte) error) error {
	for range maxAreas {
		next, err := rd.area(area, do)
		if err != nil || next == nil {
			return err
		}
		area = next
	}
	return fmt.Errorf("more than %d continuation areas", maxAreas)
}

// area goes through one area and gives the next one, if there is one.
func (rd *reader) area(p []byte, do func(string, []byte) error) (next []byte, err error) {
	for len(p) >= 4 && p[0] != 0 {
		signature, n := string(p[:2]), int(p[2])
		if n < 4 || n > len(p) {
			return nil, fmt.Errorf("system use entry %q of %d bytes where %d are left", signature, n, len(p))
		}
		switch data := p[4:n]; signature {
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
		return nil, fmt.Errorf("system use entry of %d bytes, %d are wanted", len(p)+4, 8*n+4)
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

// rockRidge reads the entries of a record (RRIP 1.12, 4.1).
func (rd *reader) rockRidge(r record) (*rockRidge, error) {
	rr := &rockRidge{}
	if len(r.use) < rd.skip {
		return rr, nil
	}
	return rr, rd.entries(r.use[rd.skip:], func(signature string, data []byte) error {
		if err := rr.entry(signature, data); err != nil {
			return fmt.Errorf("%s: %v", signature, err)
		}
		return nil
	})
}

var errShort = errors.New("entry is too short")

func (rr *rockRidge) entry(signature string, data []byte) (err error) {
	var n []int64
	switch signature {
	case "PX":
		if n, err = numbers(data, 4); err == nil {
			rr.posix, rr.mode, rr.uid, rr.gid = true, uint32(n[0]), n[2], n[3]
		}
	case "PN":
		if n, err = numbers(data, 2); err == nil {
			rr.device = device(uint64(n[0])<<32 | uint64(n[1]))
		}
	case "CL":
		if n, err = numbers(data, 1); err == nil {
			rr.child = n[0]
		}
	case "RE":
		rr.moved = true
	case "NM":
		err = rr.addName(data)
	case "SL":
		err = rr.link.add(data)
	case "TF":
		err = rr.times(data)
	}
	return err
}

// device takes the two halves of a number that Linux makes of one of 32 bits: 12 of the major number above 8 of the minor's 20.
func device(n uint64) tree.Device {
	return tree.Device{Major: uint32(n>>8) & 0xfff, Minor: uint32(n&0xff | n>>12&0xfff00)}
}

// addName reads a part of a name (RRIP 1.12, 4.1.4).
func (rr *rockRidge) addName(data []byte) error {
	const current, parent = 1 << 1, 1 << 2
	switch {
	case len(data) < 1:
		return errShort
	case data[0]&(current|parent) != 0:
		return nil
	case len(rr.name)+len(data)-1 > 255:
		return errors.New("name of more than 255 bytes")
	}
	rr.name += string(data[1:])
	return nil
}

// A linkTarget is put together of components, which may be spread over entries (RRIP 1.12, 4.1.3).
type linkTarget struct {
	parts []string
	open  bool // the last component goes on
	size  int
}

// maxTarget is how long a target may be on Linux, in bytes.
const maxTarget = 4095

func (l *linkTarget) add(data []byte) error {
	const goesOn, current, parent, root = 1 << 0, 1 << 1, 1 << 2, 1 << 3
	if len(data) < 1 {
		return errShort
	}
	for p := data[1:]; len(p) > 0; {
		if len(p) < 2 || 2+int(p[1]) > len(p) {
			return errShort
		}
		flags, part := p[0], string(p[2:2+int(p[1])])
		p = p[2+int(p[1]):]
		switch {
		case flags&current != 0:
			part = "."
		case flags&parent != 0:
			part = ".."
		case flags&root != 0:
			part = ""
		}
		if l.size += len(part) + 1; l.size > 2*maxTarget {
			return fmt.Errorf("link target of more than %d bytes", maxTarget)
		}
		if l.open {
			l.parts[len(l.parts)-1] += part
		} else {
			l.parts = append(l.parts, part)
		}
		l.open = flags&goesOn != 0
	}
	return nil
}

func (l *linkTarget) String() string {
	if len(l.parts) == 1 && l.parts[0] == "" {
		return "/"
	}
	return strings.Join(l.parts, "/")
}

// times reads the time of modification (RRIP 1.12, 4.1.6), which is the second one if the first, of creation, is recorded too.
func (rr *rockRidge) times(data []byte) error {
	const creation, modification, long = 1 << 0, 1 << 1, 1 << 7
	if len(data) < 1 {
		return errShort
	}
	flags, p := data[0], data[1:]
	if flags&modification == 0 {
		return nil
	}
	size, parse := 7, shortTime
	if flags&long != 0 {
		size, parse = 17, longTime
	}
	if flags&creation != 0 {
		p = p[min(size, len(p)):]
	}
	if len(p) < size {
		return errShort
	}
	var err error
	rr.mtime, err = parse(p[:size])
	return err
}

// shortTime reads a date of 7 bytes (ECMA-119, 9.1.5), in seconds since 1970. The last byte is the zone in quarters of an hour.
func shortTime(p []byte) (int64, error) {
	t := time.Date(1900+int(p[0]), time.Month(p[1]), int(p[2]), int(p[3]), int(p[4]), int(p[5]), 0, time.UTC)
	return t.Unix() - int64(int8(p[6]))*15*60, nil
}

// longTime reads a date of 16 digits and a zone (ECMA-119, 8.4.26.1).
func longTime(p []byte) (int64, error) {
	t, err := time.Parse("20060102150405", string(p[:14]))
	if err != nil {
		return 0, fmt.Errorf("date %q", p[:16])
	}
	return t.Unix() - int64(int8(p[16]))*15*60, nil
}

// skipped is how many bytes of every system use area are not SUSP's: the root's own record says it (SUSP 1.12, 5.3).
func skipped(use []byte) (int, error) {
	if len(use) < 7 || string(use[:2]) != "SP" || binary.BigEndian.Uint16(use[4:]) != 0xbeef {
		return 0, errors.New("no Rock Ridge")
	}
	return int(use[6]), nil
}
