package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"imprint/internal/tree"
)

// Volume descriptors take a block each, from block 16 on, up to a terminator (ECMA-119, 8.1).
const (
	standardID       = "CD001"
	bootRecord       = 0
	primary          = 1
	terminator       = 255
	structureVersion = 1
)

// Offsets of the fields of a primary volume descriptor in bytes (ECMA-119, 8.4).
const (
	pvdSystemID      = 8
	pvdVolumeID      = 40
	pvdSpaceSize     = 80
	pvdSetSize       = 120
	pvdSequence      = 124
	pvdBlockSize     = 128
	pvdPathTableSize = 132
	pvdPathTableL    = 140
	pvdPathTableM    = 148
	pvdRoot          = 156
	pvdVolumeSetID   = 190
	pvdCreated       = 813
	pvdModified      = 830
	pvdExpires       = 847
	pvdEffective     = 864
	pvdVersion       = 881
)

// maxVolumeID is the length of a volume ID in bytes.
const maxVolumeID = 32

// A Volume is the tree of an image, with the fields of its primary volume descriptor (ECMA-119, 8.4).
type Volume struct {
	ID       string
	Blocks   int64  // of 2048 bytes, counted from the front of the image; an appended partition is usually among them
	Created  string // 16 digits: year, month, day, hour, minute, second, hundredths
	Modified string // likewise
	Boot     []BootImage
	Tree     *tree.Tree

	image io.ReaderAt
	size  int64         // bytes of the image
	all   func() *audit // of every structure, made once
}

// UUID returns the string that mount, udev and GRUB use as the UUID: the digits of the date of modification with hyphens.
func (v *Volume) UUID() string { return hyphenated(v.Modified) }

// maxDescriptors bounds the search for the primary volume descriptor. Images have up to four descriptors and a terminator.
const maxDescriptors = 64

// primary returns the primary volume descriptor and the root's record in it.
func (rd *reader) primary() (*Volume, record, error) {
	var d [block]byte
	var v *Volume
	var root record
	var boot []BootImage
	for n := int64(systemArea); n < systemArea+maxDescriptors; n++ {
		if err := rd.read(d[:], n*block); err != nil {
			return nil, record{}, fmt.Errorf("read volume descriptor: %v", err)
		}
		if string(d[1:6]) != standardID {
			break
		}
		var err error
		switch {
		case d[0] == bootRecord && boot == nil:
			boot, err = rd.bootImages(d[:])
		case d[0] == primary && v == nil:
			v, root, err = parsePrimary(d[:])
		case d[0] == terminator && v == nil:
			err = errors.New("read ISO 9660: no primary volume descriptor")
		case d[0] == terminator:
			v.Boot = boot
			return v, root, nil
		}
		if err != nil {
			return nil, record{}, err
		}
	}
	return nil, record{}, errors.New("read ISO 9660: no volume descriptors from block 16 to a terminator")
}

// parsePrimary decodes a primary volume descriptor.
func parsePrimary(d []byte) (*Volume, record, error) {
	size := binary.LittleEndian.Uint16(d[pvdBlockSize:])
	if size != block || binary.BigEndian.Uint16(d[pvdBlockSize+2:]) != block {
		return nil, record{}, fmt.Errorf("read ISO 9660: logical blocks of %d bytes, not %d", size, block)
	}
	blocks, err := both(d[pvdSpaceSize:])
	if err != nil {
		return nil, record{}, err
	}
	v := &Volume{
		ID: strings.TrimRight(string(d[pvdVolumeID:][:maxVolumeID]), " \x00"), Blocks: blocks,
		Created: string(d[pvdCreated:][:dateDigits]), Modified: string(d[pvdModified:][:dateDigits]),
	}
	root, err := parseRecord(d[pvdRoot:pvdVolumeSetID])
	root.id, root.use = nil, nil // d is overwritten
	return v, root, err
}

// putDescriptor writes the fields that all volume descriptors have.
func putDescriptor(b []byte, kind byte) {
	b[0], b[6] = kind, structureVersion
	copy(b[1:], standardID)
}

// putPrimary writes the primary volume descriptor of a view. The identifiers of who made the image are blank, as are dates without a
// meaning here.
func (v view) putPrimary(b []byte) {
	putDescriptor(b, primary)
	for i := pvdSystemID; i < pvdVolumeID+maxVolumeID; i++ {
		b[i] = ' '
	}
	for i := pvdVolumeSetID; i < pvdCreated; i++ {
		b[i] = ' '
	}
	copy(b[pvdVolumeID:], v.options.VolumeID)
	putBoth(b[pvdSpaceSize:], uint32(v.size()))
	putBoth16(b[pvdSetSize:], 1)
	putBoth16(b[pvdSequence:], 1)
	putBoth16(b[pvdBlockSize:], block)
	putBoth(b[pvdPathTableSize:], uint32(v.paths.size))
	binary.LittleEndian.PutUint32(b[pvdPathTableL:], uint32(v.pathTable-v.shift))
	binary.BigEndian.PutUint32(b[pvdPathTableM:], uint32(v.pathTable+v.paths.blocks()-v.shift))
	root := &v.content.dirs[0]
	record{start: v.dirStart(root), size: root.size(), date: shortDate(v.tree.Root().Attr.Mtime.Sec), flags: isDirectory, id: selfID}.put(b[pvdRoot:])
	putLongDate(b[pvdCreated:], v.options.Created)
	putLongDate(b[pvdModified:], v.options.Modified)
	copy(b[pvdExpires:], noDate)
	copy(b[pvdEffective:], noDate)
	b[pvdVersion] = structureVersion
}
