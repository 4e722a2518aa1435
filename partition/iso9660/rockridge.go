package iso9660

import (
	"errors"
	"fmt"

	"imprint/internal/tree"
)

// File types in the mode of POSIX, as PX entries record it.
const (
	typeMask    = 0o170000
	typeFifo    = 0o010000
	typeChar    = 0o020000
	typeDir     = 0o040000
	typeBlock   = 0o060000
	typeFile    = 0o100000
	typeSymlink = 0o120000
	typeSocket  = 0o140000
)

var typeOf = [...]uint32{
	tree.File: typeFile, tree.Dir: typeDir, tree.Symlink: typeSymlink, tree.CharDevice: typeChar, tree.BlockDevice: typeBlock,
	tree.Fifo: typeFifo, tree.Socket: typeSocket,
}

// Flags of entries.
const (
	goesOn  = 1 << 0 // NM, SL and components of SL: the next one continues this one
	current = 1 << 1 // NM and components of SL: "."
	parent  = 1 << 2 // likewise: ".."
	root    = 1 << 3 // components of SL: "/"

	timeOfCreation     = 1 << 0 // TF
	timeOfModification = 1 << 1
	timeOfAccess       = 1 << 2
	timeOfChange       = 1 << 3 // of attributes
	longForm           = 1 << 7
)

// Lengths of entries in bytes.
const (
	sizePX = entryHeader + 5*8
	sizePN = entryHeader + 2*8
	sizeTF = entryHeader + 1 + 3*shortDateSize
	headNM = entryHeader + 1 // the name follows
	maxNM  = maxEntry - headNM
)

// appendPX adds the POSIX attributes (RRIP 1.12, 4.1.1): mode, number of links, owner, group and serial number, each in both byte orders. Names of
// one file have one serial number. Linux ignores it, and has an inode for each name; xorriso and libarchive find hard links by it.
func appendPX(b []byte, kind tree.Kind, a *tree.Attr, links, serial uint32) []byte {
	b = appendEntry(b, "PX", sizePX)
	for _, n := range [...]uint32{typeOf[kind] | uint32(a.Mode), links, a.UID, a.GID, serial} {
		b = appendBoth(b, n)
	}
	return b
}

// appendTF adds the times of modification, access and change of attributes, which are all the same (RRIP 1.12, 4.1.6).
func appendTF(b []byte, seconds int64) []byte {
	b = appendEntry(b, "TF", sizeTF)
	b = append(b, timeOfModification|timeOfAccess|timeOfChange)
	date := shortDate(seconds)
	for range 3 {
		b = append(b, date[:]...)
	}
	return b
}

// appendPN adds the number of a device (RRIP 1.12, 4.1.2). For a minor number up to 255 the second field holds all of it, as a dev_t of 32
// bits, which every reader accepts. Linux finds no larger minor number in that form; these are written as major and minor number in the two
// fields (fs/isofs/rock.c).
func appendPN(b []byte, d tree.Device) []byte {
	high, low := d.Major, d.Minor
	if d.Minor <= 0xff {
		high, low = 0, d.Major<<8|d.Minor
	}
	return appendBoth(appendBoth(appendEntry(b, "PN", sizePN), high), low)
}

// parsePN is the inverse of appendPN. If the first field is zero, the second is a dev_t as Linux decodes it: 12 bits of the major number
// above 8 of the minor's 20.
func parsePN(high, low uint32) tree.Device {
	if high != 0 {
		return tree.Device{Major: high, Minor: low}
	}
	return tree.Device{Major: low >> 8 & 0xfff, Minor: low&0xff | low>>12&0xfff00}
}

// sizeNM returns the length of the entries for a name of name bytes.
func sizeNM(name int) int {
	if name > maxNM {
		return name + 2*headNM
	}
	return name + headNM
}

// appendNM adds a name, in two entries if it is too long for one (RRIP 1.12, 4.1.4).
func appendNM(b []byte, name string) []byte {
	for len(name) > maxNM {
		b = append(append(appendEntry(b, "NM", maxEntry), goesOn), name[:maxNM]...)
		name = name[maxNM:]
	}
	return append(append(appendEntry(b, "NM", headNM+len(name)), 0), name...)
}

// rockRidge is the decoded system use entries of a record.
type rockRidge struct {
	name   string
	link   linkTarget
	mode   uint32
	links  int64
	uid    int64
	gid    int64
	serial int64 // 0 when there is none
	mtime  int64
	dated  bool // mtime is recorded
	device tree.Device
	child  int64 // block of a directory that was moved away because it lies too deep; 0 for none
	moved  bool  // this is where it was moved to
	posix  bool  // the record has POSIX attributes
}

// rockRidge reads the entries of a record (RRIP 1.12, 4.1).
func (rd *reader) rockRidge(r record) (*rockRidge, error) {
	rr := &rockRidge{}
	if len(r.use) < rd.skip {
		return rr, nil
	}
	err := rd.entries(r.use[rd.skip:], func(signature string, data []byte) error {
		if err := rr.entry(signature, data); err != nil {
			return fmt.Errorf("%s: %v", signature, err)
		}
		return nil
	})
	if !rr.dated {
		rr.mtime = parseShortDate(r.date[:])
	}
	return rr, err
}

var errShort = errors.New("entry is too short")

// entry takes an entry. Others are ignored, as SUSP requires of a reader, except that a file compressed by zisofs would be read wrongly.
func (rr *rockRidge) entry(signature string, data []byte) (err error) {
	var n []int64
	switch signature {
	case "PX":
		err = rr.attributes(data)
	case "PN":
		if n, err = numbers(data, 2); err == nil {
			rr.device = parsePN(uint32(n[0]), uint32(n[1]))
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
	case "ZF":
		err = errors.New("files that are compressed by zisofs are not supported")
	}
	return err
}

// attributes reads a PX entry, which before RRIP 1.12 had no serial number.
func (rr *rockRidge) attributes(data []byte) error {
	n, err := numbers(data, 4)
	if err != nil {
		return err
	}
	rr.posix, rr.mode, rr.links, rr.uid, rr.gid = true, uint32(n[0]), n[1], n[2], n[3]
	if len(data) >= sizePX-entryHeader {
		rr.serial, err = both(data[4*8:])
	}
	return err
}

// addName reads a part of a name.
func (rr *rockRidge) addName(data []byte) error {
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

// times reads the time of modification, which is the second one if the first, of creation, is recorded too.
func (rr *rockRidge) times(data []byte) (err error) {
	if len(data) < 1 {
		return errShort
	}
	flags, p := data[0], data[1:]
	if flags&timeOfModification == 0 {
		return nil
	}
	size := shortDateSize
	if flags&longForm != 0 {
		size = longDateSize
	}
	if flags&timeOfCreation != 0 {
		p = p[min(size, len(p)):]
	}
	if len(p) < size {
		return errShort
	}
	rr.dated = true
	if size == shortDateSize {
		rr.mtime = parseShortDate(p)
	} else {
		rr.mtime, err = parseLongDate(p)
	}
	return err
}
