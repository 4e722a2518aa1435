package partition

import (
	"fmt"
	"io"
	"slices"

	"imprint/internal/tree"
)

// A Filesystem is what is known of one kind of file system before there is a tree to put into it: its word in descriptions, what the keys
// of its partition may say, its limits, and how it is made. Each is in a file of its own, and adding one is that file and a row of
// [Filesystems]. Functions that are nil have nothing to refuse, or nothing to say. Their errors may be a [diag.Mistake].
type Filesystem struct {
	Name    string            // as descriptions call it
	Engines []string          // what can make it, the default first; nil where there is one way
	Refuses map[string]string // keys of its partition that mean nothing with it, each with what to do instead or ""

	Raw       bool // it is bytes without a file system
	Store     bool // a store can lie on it: it keeps owners, links and names of any bytes
	Owners    bool // its files have modes and owners of their own
	Firmware  bool // firmware reads it
	Writable  bool // the running system can write to it
	Grows     bool // systemd-growfs makes it as large as its partition
	WholeDisk bool // it is what an ISO image is, and no other disk has it
	Inside    bool // it may be a file of another partition

	MaxFile int64 // bytes of the largest file; 0 where there is no limit that a file of the host can pass

	CheckLabel    func(label string) error                 // limits of the label
	DefaultLabel  func(image, partition string) string     // the label where a description gives none
	CheckID       func(text string) error                  // form of the identifier that a description gives
	CheckFeatures func(engine string, word []string) error // features that can be turned on and off
	Carries       func(*tree.Tree) error                   // nodes that it cannot hold, which the error names by path
	VolumeID      func(*Spec) string                       // the identifier of the file system as mount and udev print it

	plan  func(Spec) (Maker, error)
	probe func(head []byte) bool // recognises it by its first bytes; nil where nothing reads it
	open  func(io.ReaderAt, int64) (*Volume, error)
}

// Filesystems are all kinds, in the order in which messages name them.
var Filesystems = []*Filesystem{&fatFilesystem, &ext4Filesystem, &none, &iso9660Filesystem, &squashfsFilesystem, &erofsFilesystem}

// Later are names of file systems that other tools support, and imprint does not yet.
func Later() []string { return []string{"btrfs", "f2fs", "swap", "xfs"} }

// LaterEngines are names of engines that other tools have, and imprint does not yet.
func LaterEngines() []string { return []string{"mtools"} }

// Named returns the file system of that name, nil if there is none.
func Named(name string) *Filesystem {
	i := slices.IndexFunc(Filesystems, func(f *Filesystem) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return Filesystems[i]
}

// Names are the words for all file systems.
func Names() (names []string) {
	for _, f := range Filesystems {
		names = append(names, f.Name)
	}
	return names
}

// Engines are the words for everything that makes a file system, where a description can choose.
func Engines() (names []string) {
	for _, f := range Filesystems {
		names = append(names, f.Engines...)
	}
	return names
}

// New plans a partition. A size that is too small is a *DoesNotFit; what a file system cannot carry is an error that names the path.
func New(s Spec) (Maker, error) {
	f := Named(s.Filesystem)
	if f == nil {
		return nil, fmt.Errorf("unknown file system %q", s.Filesystem)
	}
	return f.plan(s)
}

// DefaultEngine is what makes the file system where a description does not choose, "" where there is one way.
func (f *Filesystem) DefaultEngine() string {
	if len(f.Engines) == 0 {
		return ""
	}
	return f.Engines[0]
}
