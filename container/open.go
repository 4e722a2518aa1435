package container

import (
	"io"

	"imprint/container/codec"
	"imprint/container/gz"
	"imprint/container/ova"
	"imprint/container/qcow2"
	"imprint/container/vhd"
	"imprint/container/vhdx"
	"imprint/container/vmdk"
	"imprint/container/xz"
	"imprint/container/zst"
	"imprint/internal/pieces"
)

// An opener reads files whose magic number is at the start.
type opener struct {
	magic string
	open  func(file io.ReaderAt, size int64) (*pieces.Image, error)
}

var openers = []opener{
	{"QFI\xfb", func(file io.ReaderAt, size int64) (*pieces.Image, error) {
		return qcow2.Open(file, size, codec.Unzstd, codec.Inflate)
	}},
	{"KDMV", func(file io.ReaderAt, size int64) (*pieces.Image, error) { return vmdk.Open(file, size, codec.Inflate) }},
	{"vhdxfile", vhdx.Open},
	{"\x28\xb5\x2f\xfd", func(file io.ReaderAt, size int64) (*pieces.Image, error) {
		image, err := zst.Open(file, size, codec.Unzstd)
		if err == zst.ErrNoTable {
			err = unreadable("a zstd file without a seek table", "zstd -d")
		}
		return image, err
	}},
	{"\x1f\x8b", func(file io.ReaderAt, size int64) (*pieces.Image, error) {
		image, err := gz.Open(file, size, codec.Inflate)
		if err == gz.ErrNoLengths {
			if a := archiveIn(file, size); a != nil {
				return nil, a
			}
			err = unreadable("a gzip file of another program", "gzip -d, or tar -xzf")
		}
		return image, err
	}},
	{"\xfd7zXZ\x00", func(file io.ReaderAt, size int64) (*pieces.Image, error) {
		image, err := xz.Open(file, size, codec.Unxz)
		if err == xz.ErrLarge {
			err = unreadable("an xz file with large blocks", "xz -d")
		}
		return image, err
	}},
}

// Open opens the disk in a file of size bytes. The format is recognised by content. Open returns nil if the file has none of the formats, so that
// it is a raw disk. The error is an [*Archive] for a disk that is to be expanded first. The file is not trusted: memory is bounded whatever it
// claims.
func Open(file io.ReaderAt, size int64) (*pieces.Image, error) {
	var head [16]byte
	n, err := file.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	for _, o := range openers {
		if len(o.magic) <= n && string(head[:len(o.magic)]) == o.magic {
			return o.open(file, size)
		}
	}
	if ova.Is(file) {
		off, length, err := ova.Find(file, size)
		if err != nil {
			return nil, err
		}
		return vmdk.Open(io.NewSectionReader(file, off, length), length, codec.Inflate)
	}
	if vhd.Is(file, size) {
		return vhd.Open(file, size)
	}
	return nil, nil
}
