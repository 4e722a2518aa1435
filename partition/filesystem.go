package partition

import (
	"fmt"
	"io"
	"slices"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// A Filesystem is what is known of one kind of file system before there is a tree for it: its name in descriptions, what the
// keys of its partition may say, its limits, and how it is made. The rest of the program asks this row instead of comparing
// names, so that a new kind is one file and a row of [Filesystems]. A nil function means no restriction, or nothing to say.
// Errors of the functions may be a [diag.Mistake].
type Filesystem struct {
	Name    string            // as descriptions call it
	Engines []string          // what can make it, the default first; nil if there is no choice
	Refuses map[string]string // keys that it does not take, each with a hint or ""

	Raw       bool // bytes without a file system
	Packed    bool // a host tool packs it, so that its bytes are not known before
	Swap      bool // swap space, which holds no files either
	Store     bool // can hold a store: it keeps owners, links and names of any bytes
	Owners    bool // stores modes and owners
	Firmware  bool // firmware reads it
	Writable  bool // the running system can write to it
	Grows     bool // systemd-growfs can enlarge it
	WholeDisk bool // the tree of an ISO image, and only there
	Inside    bool // can be a file of another partition
	Widths    bool // a description can choose the bits of an entry of its table

	MountType    string // what mount(8) and fstab(5) call it; "" if it is not mounted
	MountOptions string // in fstab, unless it is read-only

	MaxFile int64 // bytes of the largest file; 0 if no file of the host can be too large

	Compressors []Compressor // that a description can choose from, the default first; nil if there is no choice
	Blocks      [2]int64     // bytes of the smallest and of the largest block, the unit of compression; both are powers of two

	CheckLabel    func(label string) error                 // limits of the label
	DefaultLabel  func(image, partition string) string     // label if the description has none
	CheckID       func(text string) error                  // form of the identifier in a description
	CheckFeatures func(engine string, word []string) error // features that can be turned on and off
	Carries       func(*tree.Tree) error                   // reports nodes that it cannot store, by path
	VolumeID      func(*Spec) string                       // its identifier, as mount and udev print it

	plan  func(Spec) (Maker, error)
	probe func(head []byte) bool // recognises it by its first bytes; nil if they say nothing
	// places reads where a volume has what it holds; nil if no volume keeps to that
	places func(image io.ReaderAt, size int64) (*Places, error)
	open   func(image io.ReaderAt, size int64, omit []string) (*Volume, error) // reads one that probe recognises
}

// A Compressor is a way to compress the content of a file system.
type Compressor struct {
	Name   string
	Levels int64 // from 1 up to this one; 0 if there are none
}

// Filesystems lists all kinds, in the order in which messages list them.
var Filesystems = []*Filesystem{&fatFilesystem, &ext4Filesystem, &none, &iso9660Filesystem, &squashfsFilesystem, &erofsFilesystem, &swapFilesystem}

// Later returns names of file systems that are not supported yet, but that users of other tools may expect.
func Later() []string { return []string{"btrfs", "f2fs", "xfs"} }

// LaterEngines returns names of engines that are not supported yet.
func LaterEngines() []string { return []string{"mtools"} }

// Named returns the file system of that name, nil if there is none.
func Named(name string) *Filesystem {
	i := slices.IndexFunc(Filesystems, func(f *Filesystem) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return Filesystems[i]
}

// Names returns the names of all file systems.
func Names() (names []string) {
	for _, f := range Filesystems {
		names = append(names, f.Name)
	}
	return names
}

// Engines returns the names of all engines that a description can choose.
func Engines() (names []string) {
	for _, f := range Filesystems {
		names = append(names, f.Engines...)
	}
	return names
}

// Compressors returns the names of all compressors that a description can choose.
func Compressors() (names []string) {
	for _, f := range Filesystems {
		for _, c := range f.Compressors {
			names = append(names, c.Name)
		}
	}
	return names
}

// MaxLevel returns the highest level of any compressor.
func MaxLevel() (most int64) {
	for _, f := range Filesystems {
		for _, c := range f.Compressors {
			most = max(most, c.Levels)
		}
	}
	return most
}

// CheckCompression reports a compressor, a level or a block size in bytes that the file system does not have; "" and 0 are the defaults. The
// errors are nil where nothing is wrong.
func (f *Filesystem) CheckCompression(name string, level, block int64) (compressor, badLevel, badBlock error) {
	i := slices.IndexFunc(f.Compressors, func(c Compressor) bool { return c.Name == name || name == "" })
	switch {
	case i < 0:
		compressor = fmt.Errorf("%q cannot compress %s", name, f.Name)
	case level == 0:
	case f.Compressors[i].Levels == 0:
		badLevel = fmt.Errorf("%s has no levels", f.Compressors[i].Name)
	case level < 0 || level > f.Compressors[i].Levels:
		badLevel = fmt.Errorf("%d is not between 1 and %d, the levels of %s", level, f.Compressors[i].Levels, f.Compressors[i].Name)
	}
	if least, most := f.Blocks[0], f.Blocks[1]; block != 0 && (block < least || block > most || block&(block-1) != 0) {
		badBlock = fmt.Errorf("%d is not a power of two from %s to %s", block, units.FormatBytes(least), units.FormatBytes(most))
	}
	return compressor, badLevel, badBlock
}

// New plans a partition. The error is a *DoesNotFit for a size that is too small, or names the path that the file system
// cannot store.
func New(s Spec) (Maker, error) {
	f := Named(s.Filesystem)
	if f == nil {
		return nil, fmt.Errorf("unknown file system %q", s.Filesystem)
	}
	return f.plan(s)
}

// HasFiles reports whether it holds a tree of files.
func (f *Filesystem) HasFiles() bool { return !f.Raw && !f.Swap }

// DefaultEngine is the engine without a choice in the description, "" if there is only one.
func (f *Filesystem) DefaultEngine() string {
	if len(f.Engines) == 0 {
		return ""
	}
	return f.Engines[0]
}
