package hosttree

import (
	"archive/tar"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"imprint/internal/tree"
)

// typeVolume is the typeflag of the label that GNU tar -V puts before the entries.
const typeVolume = 'V'

var typeKinds = map[byte]tree.Kind{
	tar.TypeReg:       tree.File,
	tar.TypeCont:      tree.File,
	tar.TypeGNUSparse: tree.File,
	tar.TypeDir:       tree.Dir,
	tar.TypeSymlink:   tree.Symlink,
	tar.TypeChar:      tree.CharDevice,
	tar.TypeBlock:     tree.BlockDevice,
	tar.TypeFifo:      tree.Fifo,
}

// node returns the node of an entry other than a hard link.
func (u *unpacking) node(h *tar.Header, content tree.Blob) (*tree.Node, error) {
	host, err := hostOfHeader(h)
	if err != nil {
		return nil, err
	}
	attr := func() *tree.Attr { return u.Attr(host) }
	switch host.Kind {
	case tree.File:
		if strings.HasSuffix(h.Name, "/") {
			return nil, fmt.Errorf("is a file, but its name ends in a slash")
		}
		return tree.NewFile("", attr(), content), nil
	case tree.Dir:
		return tree.NewDir("", attr(), nil), nil
	case tree.Symlink:
		if n := len(h.Linkname); n == 0 || n > maxPath {
			return nil, fmt.Errorf("symlink to a path of %d bytes, 1 to %d are allowed", n, maxPath)
		}
		return tree.NewSymlink("", attr(), h.Linkname), nil
	}
	if !u.Special {
		return nil, refuseSpecial(host.Kind)
	}
	if host.Kind == tree.Fifo {
		return tree.NewSpecial("", attr(), tree.Fifo), nil
	}
	number, err := deviceOf(h)
	return tree.NewDevice("", attr(), host.Kind, number), err
}

// hostOfHeader returns the attributes of an entry.
func hostOfHeader(h *tar.Header) (Host, error) {
	kind, ok := typeKinds[h.Typeflag]
	if !ok {
		return Host{}, fmt.Errorf("unknown type %q", h.Typeflag)
	}
	uid, err := id32("owner", int64(h.Uid))
	if err != nil {
		return Host{}, err
	}
	gid, err := id32("group", int64(h.Gid))
	if err != nil {
		return Host{}, err
	}
	host := Host{
		Kind:  kind,
		Mode:  uint16(h.Mode & 0o7777),
		UID:   uid,
		GID:   gid,
		Mtime: tree.Time{Sec: h.ModTime.Unix(), Nsec: uint32(h.ModTime.Nanosecond())},
	}
	if kind == tree.Symlink {
		host.Mode = 0o777 // which all symlinks have on Linux, whatever the archive says
	}
	return host, host.takeRecords(h.PAXRecords)
}

// id32 returns an ID or number in 32 bits. Archives can hold larger ones, and negative ones.
func id32(what string, id int64) (uint32, error) {
	if int64(uint32(id)) != id {
		return 0, fmt.Errorf("%s %d, 0 to 4294967295 are allowed", what, id)
	}
	return uint32(id), nil
}

// deviceOf returns the number of a device entry.
func deviceOf(h *tar.Header) (tree.Device, error) {
	major, err := id32("device major", h.Devmajor)
	if err != nil {
		return tree.Device{}, err
	}
	minor, err := id32("device minor", h.Devminor)
	if err != nil {
		return tree.Device{}, err
	}
	// A number that does not fit into the header is in records of star and libarchive.
	err = errors.Join(deviceRecord(h, "SCHILY.devmajor", &major), deviceRecord(h, "SCHILY.devminor", &minor))
	return tree.Device{Major: major, Minor: minor}, err
}

func deviceRecord(h *tar.Header, key string, number *uint32) error {
	text, ok := h.PAXRecords[key]
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("%s=%.40q is not a device number", key, text)
	}
	*number = uint32(n)
	return nil
}
