// Package container has one row for each file format of a disk, and of the files of a partition, in the order of the documentation. Each sub-package implements one format;
// this package passes them compressors and scratch files.
package container

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"imprint/container/codec"
	"imprint/container/oci"
	"imprint/internal/pieces"
)

// Raw is the name of the format that is the bytes of the disk and nothing else, and BlockMap that of the one that has only checksums of them.
const (
	Raw      = "raw"
	BlockMap = "bmap"
)

// A Format is a file format of a disk, or of a tree.
type Format struct {
	Name     string
	Doc      string   // one line
	Suffixes []string // of file names, in lower case; the first is the default
	QEMU     string   // its name for QEMU, "" if QEMU cannot read it
	Readable bool     // the program can read it at any offset
	Beside   bool     // it describes a raw file beside it, and holds no disk itself
	Tree     bool     // it holds the files of one partition, as an archive, and no disk
	Layers   bool     // it holds them in layers, with what Options.Image says
	Streams  bool     // it can be written from its start to its end, as to a pipe

	Compressions []string // values of Options.Compression besides ""
	Level        int      // the default compression level; 0 if it is not compressed
	MostLevel    int      // the highest one; 0 if there are none to choose from

	size   func(size int64) int64 // of the disk in the file; nil for the same
	check  func(size int64) error
	create func(Target, pieces.Disk, Options) (pieces.Writer, error)
}

// A Target is the destination of an output.
type Target struct {
	File  pieces.File
	Spool pieces.File // a scratch file, empty
	Whole io.ReaderAt // what is passed in pieces, once all are; only for formats with layers
	Pipe  bool        // File takes only bytes that follow those before
}

// sink is the target of a format whose pieces are written as they are packed.
func (t Target) sink() pieces.Sink { return pieces.Sink{File: t.File, Spool: t.Spool, InOrder: t.Pipe} }

// Options are the settings of an output.
type Options struct {
	Name        string // of the image, for formats with a name inside
	Compression string // one of the format's; "" is the default
	Level       int    // 0 is the default
	Workers     int    // parts that are compressed at a time
	UEFI        bool   // the disk boots from UEFI firmware, for formats that describe a machine
	Image       Image  // of formats with layers
}

// An Image describes a container image.
type Image = oci.Image

// A Layer is one of its layers.
type Layer = oci.Layer

// HoldsDisk reports whether files of the format hold a disk.
func (f *Format) HoldsDisk() bool { return !f.Beside && !f.Tree }

// Check returns an error if the format cannot hold a disk of that size in bytes.
func (f *Format) Check(size int64) error {
	if f.check == nil {
		return nil
	}
	return f.check(size)
}

// DiskSize returns the size in bytes of the disk in a file for a disk of the given size: some formats round up to whole units.
func (f *Format) DiskSize(size int64) int64 {
	if f.size == nil {
		return size
	}
	return f.size(size)
}

// Create returns a writer of the file of a disk.
func (f *Format) Create(t Target, d pieces.Disk, o Options) (pieces.Writer, error) {
	if err := f.Check(d.Size); err != nil {
		return nil, err
	}
	if o.Level == 0 {
		o.Level = f.Level
	}
	return f.create(t, d, o)
}

// Packs reports whether files of the format are compressed, which takes a scratch file.
func (f *Format) Packs(o Options) bool {
	return f.Layers || f.Level > 0 && (len(f.Compressions) == 0 || o.Compression != "")
}

// MostLevelOf returns the highest level of a compression, 0 if it has no levels.
func (f *Format) MostLevelOf(compression string) int {
	if compression == deflateParts || compression == "" && len(f.Compressions) > 0 {
		return 0
	}
	return f.MostLevel
}

// Named returns the format with the given name, nil if there is none.
func Named(name string) *Format {
	i := slices.IndexFunc(Formats, func(f *Format) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return Formats[i]
}

// Names returns the names of all formats.
func Names() (names []string) {
	for _, f := range Formats {
		names = append(names, f.Name)
	}
	return names
}

// Later returns the names of formats that other tools support, and this program does not yet.
func Later() []string { return []string{"vdi"} }

// BySuffix returns the format with the longest suffix of a file name, nil if none matches.
func BySuffix(file string) (found *Format) {
	longest := 0
	for _, f := range Formats {
		for _, suffix := range f.Suffixes {
			if len(suffix) > longest && strings.HasSuffix(strings.ToLower(file), suffix) {
				found, longest = f, len(suffix)
			}
		}
	}
	return found
}

// appender returns a writer that begins at the start of a file.
func appender(f pieces.File) io.Writer { return io.NewOffsetWriter(f, 0) }

// zstdAt returns the compressor of a level.
func zstdAt(o Options) (codec.Pack, error) { return codec.Zstd(o.Level, o.Workers) }

// unreadable returns the error for a file that has to be unpacked first.
func unreadable(what, command string) error {
	return fmt.Errorf("%s can only be read from its start; unpack it first: %s", what, command)
}
