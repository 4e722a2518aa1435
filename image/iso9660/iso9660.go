// Package iso9660 reads ISO 9660 images with Rock Ridge: names, kinds, attributes, link targets and contents of a whole tree.
//
// The structure is that of ECMA-119 (volume descriptors, directory records), of the System Use Sharing Protocol (SUSP 1.12) and of the Rock
// Ridge Interchange Protocol (RRIP 1.12). An image is not trusted: what it says is checked before it is followed, nothing is read twice for
// the sake of the tree, and memory stays in proportion to the image.
package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"imprint/internal/tree"
)

// block is the size of a logical block in bytes. Others are possible (ECMA-119, 6.2.2), and nobody uses them.
const block = 2048

// A Volume is an image's tree, and what its primary volume descriptor says (ECMA-119, 8.4).
type Volume struct {
	ID       string
	Blocks   int64  // of 2048 bytes, appended partitions left out
	Created  string // 16 digits: year, month, day, hour, minute, second, hundredths
	Modified string // likewise
	Boot     []BootImage
	Tree     *tree.Tree
}

// UUID is what mount, udev and GRUB take for the UUID: the digits of the date of modification with hyphens between.
func (v *Volume) UUID() string {
	d := v.Modified
	return strings.Join([]string{d[:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:14], d[14:16]}, "-")
}

// Read reads the tree of an image of that many bytes. The contents of its files stay in the image: a blob is read out of r when it is
// opened. Links are not told from separate files with the same content.
func Read(r io.ReaderAt, size int64) (*Volume, error) {
	rd := &reader{image: r, size: size, seen: map[int64]bool{}, attrs: map[attrKey]*tree.Attr{}}
	v, root, err := rd.primary()
	if err != nil {
		return nil, err
	}
	if v.Tree, err = rd.tree(root); err != nil {
		return nil, fmt.Errorf("read ISO 9660 volume %q: %v", v.ID, err)
	}
	return v, nil
}

// maxDescriptors bounds the search for the primary volume descriptor.
const maxDescriptors = 64

// primary finds the primary volume descriptor, in a row of descriptors from block 16 on that a terminator ends, and the root's record.
func (rd *reader) primary() (*Volume, record, error) {
	var d [block]byte
	var v *Volume
	var root record
	var boot []BootImage
	for n := int64(16); n < 16+maxDescriptors; n++ {
		if err := rd.read(d[:], n*block); err != nil {
			return nil, record{}, fmt.Errorf("read volume descriptor: %v", err)
		}
		if string(d[1:6]) != "CD001" {
			break
		}
		var err error
		switch {
		case d[0] == 0 && boot == nil:
			boot, err = rd.bootImages(d[:])
		case d[0] == 1 && v == nil:
			v, root, err = rd.descriptor(d[:])
		case d[0] == 255 && v == nil:
			err = errors.New("read ISO 9660: no primary volume descriptor")
		case d[0] == 255:
			v.Boot = boot
			return v, root, nil
		}
		if err != nil {
			return nil, record{}, err
		}
	}
	return nil, record{}, errors.New("read ISO 9660: no row of volume descriptors from block 16 to a terminator")
}

func (rd *reader) descriptor(d []byte) (*Volume, record, error) {
	size := binary.LittleEndian.Uint16(d[128:])
	if size != block || binary.BigEndian.Uint16(d[130:]) != block {
		return nil, record{}, fmt.Errorf("read ISO 9660: logical blocks of %d bytes, not %d", size, block)
	}
	blocks, err := both(d[80:])
	if err != nil {
		return nil, record{}, err
	}
	v := &Volume{ID: strings.TrimRight(string(d[40:72]), " "), Blocks: blocks, Created: string(d[813:829]), Modified: string(d[830:846])}
	root, err := parseRecord(d[156:190])
	return v, root, err
}

// both reads a number of 32 bits that is recorded in both byte orders (ECMA-119, 7.3.3).
func both(p []byte) (int64, error) {
	n, m := binary.LittleEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	if n != m {
		return 0, fmt.Errorf("a number is %d in one byte order and %d in the other", n, m)
	}
	return int64(n), nil
}
