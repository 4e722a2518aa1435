// Package hosttree reads directories, files and tar archives of the host into nodes of package tree. Contents stay where they are: a node's
// Blob names a file of the host, or a slice of an archive, and is read when it is opened.
//
// The caller's Attr maps the attributes of the host to those of nodes. Hard links between the host's files, their extended attributes, access
// control lists, inode numbers and access times are ignored; of archives, hard links, extended attributes, access control lists and holes
// are kept.
//
// Blobs of this package are [tree.HostBlob]s; those whose bytes lie in one run in their file have readers that
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

// Host has the attributes of a file of the host.
type Host struct {
	Kind   tree.Kind
	Mode   uint16 // permission bits, the group's without those of an access control list, set-uid, set-gid and sticky: 07777 at most
	UID    uint32
	GID    uint32
	Mtime  tree.Time
	Xattrs []tree.Xattr // sorted by name; only entries of an archive have any
}

// A Scanner reads directories of the host. Its fields are set before the first Read and not changed afterwards.
type Scanner struct {
	// Attr returns the attributes of a node; nil keeps those of the host. It is called by several goroutines at once, and should
	// return the same pointer for equal attributes.
	Attr func(Host) *tree.Attr

	// FilesOnly declares that Attr needs only the Kind of directories and symlinks. Their other fields are then 0, which saves a system call
	// for each.
	FilesOnly bool

	// Backwards takes the names of each directory in the reverse of the order in which its file system has them. The result must not
	// depend on it, which is what it is for.
	Backwards bool

	// Special allows devices, fifos and sockets, which are errors otherwise.
	Special bool

	// Exclude, unless it is nil, reports whether a file is left out, with everything below it, given its path below the top of the scan, such
	// as "/etc/motd". It must be safe for concurrent use. It is called before anything else is done with the file.
	Exclude func(path string, dir bool) bool

	// Mounted, unless it is nil, keeps a scan within the mount that its top is on: directories that are mount points are taken without their
	// content, and files that are mount points are left out. Mounted is called with their paths below the top, and must be safe for
	// concurrent use. Subvolumes of btrfs are not mounts, and are read. It has no effect with FilesOnly.
	Mounted func(path string)

	// Workers is the number of directories and batches of files that are read at a time, over all calls of Read; 0 is 8 per processor and at
	// least 32: with a cold cache each of them waits for the disk, and idle ones cost nothing.
	Workers int

	once   sync.Once
	shared attrs
	pool
}

// Read returns the directory, file or symlink at path, with everything below it, sorted by the bytes of the names. The node itself has
// an empty name. A symlink at the end of path is not followed, unless the path ends in "/" or "/.". Read may be called by any number of
// goroutines, which share Workers.
//
// Errors are [*fs.PathError] with the path of the file that failed; of several errors, one is returned.
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
	if err := refusePseudo(path); err != nil {
		return nil, pathError("read", path, err)
	}
	sc.pending.Add(1)
	s.push([]task{{scan: sc, dir: &dir{name: path}, out: &sc.top}}, 0)
	sc.pending.Wait()
	if err := sc.err.Load(); err != nil {
		return nil, *err
	}
	if sc.omitted.Load() {
		return compact(sc.top), nil
	}
	return sc.top, nil
}

// lookAtTop returns the node of path, or nil for a directory.
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
	return w.look(sc, location{fd: unix.AT_FDCWD, ref: path, dir: &dir{name: parent}, name: name}, unix.DT_UNKNOWN)
}

func (s *Scanner) prepare() {
	if s.Workers <= 0 {
		s.Workers = max(32, 8*processors.Count())
	}
	if s.Attr == nil {
		s.Attr = s.shared.of
	}
	if s.FilesOnly {
		s.Mounted = nil
	}
}
