package iso9660

import (
	"fmt"
	"io"
	"sync"

	"imprint/internal/tree"
)

// Read reads the tree of an image of size bytes. It reads no contents of files, which blobs read from r. Each name of a file is a file of
// its own, with the same content; [ReadLinks] finds hard links.
func Read(r io.ReaderAt, size int64) (*Volume, error) {
	return (&reader{image: r, size: size}).volume()
}

// ReadLinks is like [Read], but a further name of a file is a [tree.Link]: a name with the serial number of an earlier one that is equal in
// everything else too, since some writers use a serial number twice.
func ReadLinks(r io.ReaderAt, size int64) (*Volume, error) { return ReadPart(r, size) }

// ReadPart is like [ReadLinks], but reads nothing of what the directories at the paths omit hold.
func ReadPart(r io.ReaderAt, size int64, omit ...string) (*Volume, error) {
	return (&reader{image: r, size: size, linked: map[inode]*tree.Node{}, omit: tree.Omit(omit...)}).volume()
}

// A reader reads the tree of an image once.
type reader struct {
	image  io.ReaderAt
	size   int64 // bytes
	skip   int   // bytes before the first entry of a system use field
	spent  int64 // bytes of directories and continuation areas read
	seen   map[int64]bool
	attrs  map[attrKey]*tree.Attr
	linked map[inode]*tree.Node // the first name of each file that may have several; nil: links are not looked for
	above  []string             // names of the directories that are being read
	omit   *tree.Omission
}

func (rd *reader) volume() (*Volume, error) {
	rd.seen, rd.attrs = map[int64]bool{}, map[attrKey]*tree.Attr{}
	v, root, err := rd.primary()
	if err != nil {
		return nil, err
	}
	if v.Tree, err = rd.tree(root); err != nil {
		return nil, fmt.Errorf("read ISO 9660 volume %q: %v", v.ID, err)
	}
	v.image, v.size = rd.image, rd.size
	v.all = sync.OnceValue(func() *audit { return newAudit(v.image, v.size, nil) })
	return v, nil
}

// read fills p from the image.
func (rd *reader) read(p []byte, off int64) error {
	if off < 0 || off > rd.size-int64(len(p)) {
		return fmt.Errorf("%d bytes at %d of an image of %d", len(p), off, rd.size)
	}
	n, err := rd.image.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	return err
}

// spend counts bytes of structure. More than the image has are an error: parts of it are then used several times, and a hostile image could
// multiply the work.
func (rd *reader) spend(n int64) error {
	if rd.spent += n; rd.spent > rd.size {
		return fmt.Errorf("directories of more than the image's %d bytes", rd.size)
	}
	return nil
}

// records calls do for every record of a directory, its own and its parent's included.
func (rd *reader) records(dir record, do func(record) error) error {
	if rd.seen[dir.start] {
		return fmt.Errorf("the directory at block %d is there twice", dir.start)
	}
	rd.seen[dir.start] = true
	if err := rd.spend(dir.size); err != nil {
		return err
	}
	buf := make([]byte, min(block, dir.size)) // not on the stack, on which directories nest
	for off := int64(0); off < dir.size; off += block {
		p := buf[:min(block, dir.size-off)]
		if err := rd.read(p, dir.start*block+off); err != nil {
			return err
		}
		if err := eachRecord(p, do); err != nil {
			return err
		}
	}
	return nil
}

// own returns the first record of a directory, which is that of the directory itself.
func (rd *reader) own(dir record) (own record, err error) {
	p := make([]byte, min(block, max(dir.size, 0)))
	if err := rd.read(p, dir.start*block); err != nil {
		return record{}, err
	}
	if len(p) == 0 || int(p[0]) > len(p) {
		return record{}, fmt.Errorf("no directory at block %d", dir.start)
	}
	return parseRecord(p[:p[0]])
}
