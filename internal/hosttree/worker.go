package hosttree

import (
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"imprint/internal/posixacl"
	"imprint/internal/tree"
)

// A worker holds the buffers that are reused for each directory.
type worker struct {
	dirents []byte
	link    []byte
	names   []byte
	entries []entry
	tasks   []task
	slab    []file
	st      unix.Statx_t
}

var workers = sync.Pool{New: func() any {
	return &worker{dirents: make([]byte, 32<<10), link: make([]byte, maxPath+1)}
}}

// A listing is a directory whose names have been read.
type listing struct {
	scan    *scan
	dir     *dir
	fd      *descriptor
	device  device
	names   string
	entries []entry
	nodes   []*tree.Node // as many as entries
}

// batchSize is how many entries of a directory one task handles; a larger directory is divided among the workers.
const batchSize = 512

// read reads a directory and the files in it; directories in it become tasks.
func (w *worker) read(t task) error {
	fd, err := t.open()
	if err != nil {
		return pathError("open", t.dir.path(""), err)
	}
	l := &listing{scan: t.scan, dir: t.dir, fd: newDescriptor(t.scan.Scanner, fd)}
	defer l.fd.release(t.scan.Scanner)
	host, err := w.statDir(l)
	if err != nil {
		return err
	}
	if err := w.list(fd); err != nil {
		return pathError("read", t.dir.path(""), err)
	}
	l.names, l.entries = string(w.names), w.entries
	if t.scan.Backwards {
		slices.Reverse(l.entries)
	}
	sortEntries(l.entries, l.names)
	l.nodes = make([]*tree.Node, len(l.entries))
	// The directory's node is complete from here on, except that its children may still be nil: tasks fill them in.
	*t.out = tree.NewDir(t.dir.base(), t.scan.Attr(host), l.nodes)
	if len(l.entries) > batchSize {
		return w.split(l)
	}
	return w.fill(l, 0)
}

// withoutACL corrects the group's rights in the mode of a file with an access control list: the mode has the mask in their place.
func (w *worker) withoutACL(host *Host, p location) error {
	if host.Mode&0o070 == 0 {
		return nil
	}
	at := p.dir.path(p.name)
	if len(at) > maxPath {
		at = fmt.Sprintf("/proc/self/fd/%d/%s", p.fd, p.ref)
	}
	for {
		n, err := unix.Lgetxattr(at, aclAccessXattr, w.dirents)
		switch err {
		case nil:
			list, err := posixacl.Decode(w.dirents[:n])
			if err != nil {
				return p.error("read", err)
			}
			host.Mode = list.Without(host.Mode)
			return nil
		case unix.EINTR:
		case unix.ENODATA, unix.EOPNOTSUPP:
			return nil
		default:
			return p.error("getxattr", err)
		}
	}
}

// open opens the directory of the task.
func (t task) open() (fd int, err error) {
	flags := t.dir.flags() | unix.O_DIRECTORY | unix.O_NOFOLLOW
	if t.from != nil {
		fd, t.dir.atime, err = openat(t.from.fd, t.dir.name, flags)
	} else {
		fd, t.dir.atime, err = openPath(t.dir.path(""), flags)
	}
	return fd, err
}

// statDir returns the attributes of an open directory, as far as they are needed.
func (w *worker) statDir(l *listing) (Host, error) {
	if l.scan.FilesOnly {
		return Host{Kind: tree.Dir}, nil
	}
	if err := stat(l.fd.fd, "", &w.st); err != nil {
		return Host{}, pathError("stat", l.dir.path(""), err)
	}
	l.device = deviceOn(&w.st)
	host := hostOf(&w.st)
	return host, w.withoutACL(&host, location{fd: l.fd.fd, ref: ".", dir: l.dir})
}

// split divides a large directory into batches for the workers.
func (w *worker) split(l *listing) error {
	w.entries = nil       // they belong to the batches now
	w.tasks = w.tasks[:0] // a scan that failed has left its own
	if !l.fd.held {
		for lo := 0; lo < len(l.entries); lo += batchSize {
			if err := w.fill(l, lo); err != nil {
				return err
			}
		}
		return nil
	}
	for lo := batchSize; lo < len(l.entries); lo += batchSize {
		w.tasks = append(w.tasks, task{scan: l.scan, batch: l, lo: lo})
	}
	w.give(l)
	return w.fill(l, 0)
}

// give adds the collected tasks, all of them for entries of l, to the pool.
func (w *worker) give(l *listing) {
	if len(w.tasks) == 0 {
		return
	}
	from := l.fd.share(len(w.tasks))
	for i := range w.tasks {
		w.tasks[i].from = from
	}
	l.scan.pending.Add(len(w.tasks))
	l.scan.push(w.tasks, 1)
	w.tasks = w.tasks[:0]
}

// fill makes the nodes of a batch of entries, from lo on. Directories among them become tasks.
func (w *worker) fill(l *listing, lo int) error {
	w.tasks = w.tasks[:0]
	for i := lo; i < min(lo+batchSize, len(l.entries)); i++ {
		name := l.entries[i].in(l.names)
		n, err := w.entry(l, location{fd: l.fd.fd, dir: l.dir, ref: name, name: name}, l.entries[i].typ)
		if err != nil {
			return err
		}
		if n == leftOut {
			l.scan.omitted.Store(true)
			continue
		}
		l.nodes[i] = n
		if n == nil {
			w.tasks = append(w.tasks, task{scan: l.scan, dir: &dir{l.dir, name, l.dir.atime}, out: &l.nodes[i]})
		}
	}
	w.give(l)
	return nil
}

// A location is where a file is.
type location struct {
	fd   int    // a directory
	ref  string // the path of the file from there
	dir  *dir   // the directory that the file is in
	name string // its name in there
}

func (p location) error(op string, err error) error { return pathError(op, p.dir.path(p.name), err) }

// look returns the node of a file, symlink or special file, and nil for a directory. typ is the type in the directory entry.
func (w *worker) look(sc *scan, p location, typ uint8) (*tree.Node, error) {
	switch {
	case typ == unix.DT_DIR:
		return nil, nil
	case typ == unix.DT_LNK && sc.FilesOnly:
		return w.symlink(sc, p, Host{Kind: tree.Symlink})
	}
	if err := stat(p.fd, p.ref, &w.st); err != nil {
		return nil, p.error("stat", err)
	}
	host := hostOf(&w.st)
	switch host.Kind {
	case tree.File:
		if !sc.FilesOnly {
			if err := w.withoutACL(&host, p); err != nil {
				return nil, err
			}
		}
		return tree.NewFile(p.name, sc.Attr(host), w.blob(p)), nil
	case tree.Dir:
		return nil, nil
	case tree.Symlink:
		return w.symlink(sc, p, host)
	}
	return w.special(sc, p, host)
}

// symlink makes the node of a symlink. A target that fills the buffer may have been cut off.
func (w *worker) symlink(sc *scan, p location, host Host) (*tree.Node, error) {
	for {
		n, err := unix.Readlinkat(p.fd, p.ref, w.link)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, p.error("readlink", err)
		case n == len(w.link):
			return nil, p.error("readlink", unix.ENAMETOOLONG)
		default:
			return tree.NewSymlink(p.name, sc.Attr(host), string(w.link[:n])), nil
		}
	}
}

// special makes the node of a device, fifo or socket, if the scanner allows them.
func (w *worker) special(sc *scan, p location, host Host) (*tree.Node, error) {
	if !sc.Special {
		return nil, p.error("read", refuseSpecial(host.Kind))
	}
	if host.Kind == tree.CharDevice || host.Kind == tree.BlockDevice {
		return tree.NewDevice(p.name, sc.Attr(host), host.Kind, tree.Device{Major: w.st.Rdev_major, Minor: w.st.Rdev_minor}), nil
	}
	return tree.NewSpecial(p.name, sc.Attr(host), host.Kind), nil
}

func refuseSpecial(k tree.Kind) error {
	return fmt.Errorf("is a %v; only files, directories and symlinks are taken", k)
}

// blob returns the content of the file of the last stat. Files are allocated in slabs of 128, which saves allocations.
func (w *worker) blob(p location) tree.Blob {
	if len(w.slab) == cap(w.slab) {
		w.slab = make([]file, 0, 128)
	}
	w.slab = append(w.slab, file{dir: p.dir, name: p.name, size: int64(w.st.Size)})
	return &w.slab[len(w.slab)-1]
}
