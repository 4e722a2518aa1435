package hosttree

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"imprint/internal/tree"
)

// TarOptions are options for reading an archive.
type TarOptions struct {
	Attr    func(Host) *tree.Attr // chooses the attributes of a node, as in a Scanner; nil takes them as the archive states them
	Special bool                  // takes devices and fifos, which are an error without it

	// Unpack, unless it is nil, unpacks an archive that the named program of package compressed has compressed, into a file that Tar closes.
	// Without it a compressed archive is an error.
	Unpack func(packed io.Reader, by string) (*os.File, error)

	// Exclude, unless it is nil, reports whether a path is left out, with everything below it. A hard link to such a path gets the content of
	// the file. An entry that is left out may be one that an image cannot hold.
	Exclude func(path string, dir bool) bool
}

// An Entry is a file of an archive.
type Entry struct {
	Path   string     // absolute and clean, as [tree.Clean] returns it; "/" is an entry for the top directory itself
	Node   *tree.Node // directories have no children; the target of a tree.Link is the node of another entry
	Offset int64      // of the entry's first header in the archive, in bytes
}

// Tar reads an archive in the ustar, PAX, GNU or V7 format (POSIX.1-2024, pax; GNU tar manual, "Tar Internals"). Contents stay in it, or in
// what Unpack made of it: blobs are slices of that file, which stays open until all of them are unreachable. Sparse entries of the four GNU
// formats are [tree.SparseBlob]s, with the holes that the archive records.
//
// The entries are in the order of the archive. A repeated path replaces the earlier entry, as unpacking would; a hard link to that keeps the
// earlier content. Parent directories may be missing. Owners are numeric; user and group names are ignored.
//
// Names that leave the top ("..", absolute ones) or lead through a symlink are errors, as is anything that an image cannot hold exactly.
// Errors are [*fs.PathError] with the archive's path, and name the entry and its offset.
func Tar(path string, o TarOptions) ([]Entry, error) {
	f, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	a, err := plain(&archive{r, path, f.size}, r, o)
	if err != nil {
		r.Close()
		return nil, pathError("read", path, err)
	}
	entries, err := readTar(a, o)
	kept := a.ReaderAt.(*fileReader)
	if err != nil {
		kept.Close()
		return nil, pathError("read", path, err)
	}
	runtime.AddCleanup(kept, func(fd int) { unix.Close(fd) }, kept.fd)
	return entries, nil
}

// An archive is an open tar archive.
type archive struct {
	io.ReaderAt
	path string
	size int64
}

// An unpacking is an archive being read.
type unpacking struct {
	TarOptions
	archive *archive
	blocks  *blocks
	start   int64 // of the entry that is being read
	names   names
}

// readTar reads all headers. Contents are skipped, so only the headers, and what shares a window with them, are read.
func readTar(a *archive, o TarOptions) ([]Entry, error) {
	if err := refuseCompressed(a); err != nil {
		return nil, err
	}
	if o.Attr == nil {
		o.Attr = new(attrs).of
	}
	u := &unpacking{TarOptions: o, archive: a, blocks: newBlocks(a), names: newNames()}
	r := tar.NewReader(u.blocks)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return u.names.without(u.excluded), u.checkEnd()
		}
		if err == nil {
			err = u.add(h)
		}
		if err != nil {
			return nil, u.entryError(h, err)
		}
	}
}

// checkEnd reports an archive that was cut off between two entries.
func (u *unpacking) checkEnd() error {
	if u.start+blockSize > u.archive.size {
		return fmt.Errorf("ends at byte %d without the blocks of zeros that close an archive: it is cut off", u.archive.size)
	}
	return nil
}

// entryError adds the entry and its offset to an error. archive/tar reports a file that is not an archive as a damaged header, so an error in
// the first header is taken for that.
func (u *unpacking) entryError(h *tar.Header, err error) error {
	switch {
	case errors.Is(err, tar.ErrHeader) && u.start == 0:
		return fmt.Errorf("not a tar archive")
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("entry at byte %d: not a tar header", u.start)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("entry at byte %d: cut off: the archive ends at byte %d", u.start, u.archive.size)
	case h == nil:
		return fmt.Errorf("entry at byte %d: %v", u.start, err)
	}
	return fmt.Errorf("entry %.200q at byte %d: %v", h.Name, u.start, err)
}

// add adds an entry, whose content begins at the current position.
func (u *unpacking) add(h *tar.Header) error {
	content, next, err := u.content(h)
	if err != nil {
		return err
	}
	if err := u.put(h, content); err != nil {
		return err
	}
	u.start = next
	return nil
}

// put adds an entry with its content to the names.
func (u *unpacking) put(h *tar.Header, content tree.Blob) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return checkGlobal(h.PAXRecords)
	case typeVolume:
		return nil
	}
	path, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	err = u.enter(path, h, content)
	if err != nil && u.excluded(path, h.Typeflag == tar.TypeDir) {
		return nil
	}
	return err
}

func (u *unpacking) enter(path string, h *tar.Header, content tree.Blob) error {
	if h.Typeflag == tar.TypeLink {
		return u.names.link(path, h.Linkname, u.start)
	}
	n, err := u.node(h, content)
	if err != nil {
		return err
	}
	return u.names.put(path, n, u.start)
}

// excluded reports whether a path or a directory above it is left out.
func (u *unpacking) excluded(path string, dir bool) bool {
	if u.Exclude == nil || path == "/" {
		return false
	}
	for i := 1; i < len(path); i++ {
		if path[i] == '/' && u.Exclude(path[:i], true) {
			return true
		}
	}
	return u.Exclude(path, dir)
}

// content returns the content of an entry and the offset of the next one.
func (u *unpacking) content(h *tar.Header) (tree.Blob, int64, error) {
	at, size := u.blocks.pos, h.Size
	switch h.Typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo, tar.TypeXGlobalHeader:
		return nil, roundUp(at), nil
	}
	form := sparseForm(h)
	if form != notSparse {
		return u.sparse(h, form)
	}
	if size > u.archive.size-at {
		return nil, 0, io.ErrUnexpectedEOF
	}
	return &slice{u.archive, at, size}, roundUp(at + size), nil
}
