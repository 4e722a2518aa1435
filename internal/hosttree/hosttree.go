// Package hosttree reads what lies on the host (directories, single files, tar archives) into nodes of package tree. Contents stay where
// they are: a node's Blob names a file of the host, or a slice of an archive, and is read when it is opened.
//
// Attributes are what the caller's Attr makes of those of the host. Hard links between the host's files, their extended attributes, ACLs,
// inode numbers, access times and (unless asked for) holes are not seen.
//
// Blobs of this package are [tree.HostBlob]s; those whose bytes lie in one run in their file are [tree.HostRangeBlob]s, with readers that
// are [tree.DescriptorReader]s.
package hosttree

import (
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"imprint/internal/processors"
	"imprint/internal/tree"
)

// Host is what is known of a file besides its name and content.
type Host struct {
	Kind   tree.Kind
	Mode   uint16 // permission bits, set-uid, set-gid and sticky: 07777 at most
	UID    uint32
	GID    uint32
	Mtime  tree.Time
	Xattrs []tree.Xattr // sorted by name; only entries of an archive have any
}

// A Scanner reads directories of the host. Its fields are set before the first Read and not changed afterwards.
type Scanner struct {
	// Attr chooses the attributes of a node; nil takes them as they stand on the host. It is called from several goroutines at once,
	// and should return the same pointer for equal attributes.
	Attr func(Host) *tree.Attr

	// FilesOnly says that Attr looks at more than the Kind of a Host only when it is a tree.File: the other fields are then 0 for
	// directories and symlinks. It spares one system call for each of them.
	FilesOnly bool

	// Special takes devices, fifos and sockets, which are an error without it.
	Special bool

	// Workers is how many directories are read, and batches of files looked at, at the same time, over all calls of Read; 0 is 8 a
	// core, at least 32: with a cold cache every one of them waits for the disk, and idle ones cost nothing.
	Workers int

	once   sync.Once
	shared attrs
	pool
}

// Read returns the directory, file or symlink at path, with everything below it, sorted by the bytes of the names. The node itself has
// an empty name. A symlink at the end of path is not followed, unless the path ends in "/" or "/.". Read may be called from any number of
// goroutines, which share Workers.
//
// Errors are *fs.PathError with the path of the file they are about; of several, one is told.
func (s *Scanner) Read(path string) (*tree.Node, error) {
	s.once.Do(s.prepare)
	for strings.HasSuffix(path, "/.") {
		path = path[:len(path)-1]
	}
	sc := &scan{Scanner: s}
	switch n, err := sc.lookAtTop(path); {
	case err != nil:
		return nil, err
	case n != nil:
		n.Name = ""
		return n, nil
	}
	sc.pending.Add(1)
	s.push([]task{{scan: sc, dir: &dir{name: path}, out: &sc.top}}, 0)
	sc.pending.Wait()
	if err := sc.err.Load(); err != nil {
		return nil, *err
	}
	return sc.top, nil
}

// lookAtTop returns what is at path, or nil for a directory.
func (sc *scan) lookAtTop(path string) (*tree.Node, error) {
	if path == "" {
		return nil, pathError("stat", path, unix.ENOENT)
	}
	w := workers.Get().(*worker)
	defer workers.Put(w)
	parent, name := filepath.Split(path)
	if parent == "" {
		parent = "./"
	}
	return w.look(sc, place{fd: unix.AT_FDCWD, ref: path, dir: &dir{name: parent}, name: name}, unix.DT_UNKNOWN)
}

func (s *Scanner) prepare() {
	if s.Workers <= 0 {
		s.Workers = max(32, 8*processors.Count())
	}
	if s.Attr == nil {
		s.Attr = s.shared.of
	}
}
